//! The requirements of every store, checked with each kind, and the properties of each kind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/disk.rs"]
mod disk;
#[path = "../support/harness.rs"]
mod harness;
#[cfg(feature = "postgres")]
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/process.rs"]
mod process;
mod support;

#[cfg(feature = "postgres")]
mod app_balance;
mod backup;
mod begun_writes;
mod debug_output;
mod disk_faults;
mod kills;
mod position_cache;
#[cfg(feature = "postgres")]
mod postgres_formats;
#[cfg(feature = "postgres")]
mod postgres_outages;
#[cfg(feature = "postgres")]
mod postgres_processes;
#[cfg(feature = "postgres")]
mod postgres_settings;
#[cfg(feature = "postgres")]
mod postgres_tls;
mod redb_file;
mod scans;
mod swaps;
mod threads;

use harness::{Role, Test, tests};
use std::process::ExitCode;
use support::{Check, checks};

fn main() -> ExitCode {
    let roles: &[Role] = &[
        ("opener", redb_file::run_opener),
        ("writer", kills::run_writer),
        #[cfg(feature = "postgres")]
        ("worker", postgres_processes::run_worker),
        #[cfg(feature = "postgres")]
        ("tls_opener", postgres_tls::run_opener),
    ];
    harness::run(roles, || {
        let mut all = local_tests();
        all.extend(support::each_store(store_checks()));
        #[cfg(feature = "postgres")]
        all.extend(postgres_tests());
        all
    })
}

/// The checks of every store.
fn store_checks() -> Vec<Check> {
    let mut all: Vec<Check> = checks![
        backup::restores_many_records_in_several_writes,
        backup::restores_only_into_an_empty_store,
        begun_writes::ends_a_begun_write_like_a_swap,
        begun_writes::makes_a_begun_write_without_a_waiter,
        begun_writes::makes_one_of_many_writes_begun_from_the_same_value,
        debug_output::shows_lengths_of_keys_and_values_only,
        scans::scans_a_snapshot_of_all_tables_in_order,
        scans::scans_a_snapshot_while_the_callback_writes,
        scans::scans_both_halves_of_every_swap_or_neither,
        scans::scans_every_one_of_many_rows,
        scans::scans_prefix_in_key_order_until_stopped,
        swaps::checks_for_absence_without_writing,
        swaps::keeps_equal_keys_of_each_table_apart,
        swaps::makes_all_changes_of_a_swap_or_none,
        swaps::refuses_repeated_and_too_long_keys,
        swaps::removes_only_the_expected_value,
        swaps::returns_values_of_many_megabytes_unchanged,
        swaps::stores_any_bytes_as_keys_and_values,
        swaps::writes_only_over_the_expected_value,
        threads::conserves_the_sum_of_transfers_in_any_key_order,
        threads::counts_increments_of_many_threads_exactly_once,
        threads::keeps_writes_of_other_threads_on_a_conflict,
    ];
    all.push((
        "backup::restores_backup_of_any_store_into_any_other",
        Box::new(backup::restores_backup_of_any_store_into_any_other),
    ));
    all
}

fn local_tests() -> Vec<Test> {
    tests![
        backup::refuses_a_second_restore_at_a_time,
        backup::refuses_backup_with_any_byte_changed_or_missing,
        backup::refuses_other_files_and_newer_formats,
        backup::refuses_partly_restored_file,
        backup::reports_full_disk_at_any_byte_of_the_backup,
        backup::restores_empty_backup_to_an_empty_store,
        begun_writes::writes_begun_changes_before_the_store_is_dropped,
        debug_output::hides_contents_of_local_stores,
        disk_faults::keeps_acknowledged_writes_after_a_failed_sync,
        disk_faults::keeps_acknowledged_writes_after_torn_writes,
        disk_faults::keeps_acknowledged_writes_on_a_full_disk,
        disk_faults::keeps_whole_commits_or_none_after_a_power_loss,
        disk_faults::reopens_a_failing_disk_once_per_pause,
        disk_faults::rewrites_data_dropped_by_a_failed_sync,
        kills::killed_writers_lose_no_acknowledged_write_in_a_file,
        position_cache::begins_no_replacement_in_a_blocking_store,
        position_cache::ends_a_begun_replacement_like_a_blocking_one,
        position_cache::forgets_a_removed_position,
        position_cache::makes_a_replacement_without_waiter_but_forgets_it,
        position_cache::reads_own_writes_from_memory,
        position_cache::reads_the_store_after_a_write_of_unknown_outcome,
        position_cache::remembers_no_more_positions_than_its_limit,
        position_cache::remembers_stored_position_after_a_conflict,
        redb_file::creates_file_readable_by_its_owner_only,
        redb_file::creates_a_store_after_an_interrupted_creation,
        redb_file::creates_missing_directories_of_a_store,
        redb_file::creates_one_store_for_many_at_once,
        redb_file::keeps_every_table_when_reopened,
        redb_file::keeps_file_locked_while_it_reopens_after_a_full_disk,
        redb_file::keeps_writes_of_a_process_that_ends_without_closing,
        redb_file::opens_an_existing_store_without_creating_one,
        redb_file::refuses_a_newer_format_and_names_the_remedy,
        redb_file::refuses_a_second_instance_while_the_first_lives,
        redb_file::refuses_a_second_process_while_the_first_has_the_file,
        redb_file::refuses_foreign_files_and_leaves_them_unchanged,
        redb_file::takes_an_emptied_file_for_no_new_store,
        redb_file::refuses_redb_files_of_other_programs,
        redb_file::reports_file_emptied_during_full_disk_as_damaged,
    ]
}

#[cfg(feature = "postgres")]
fn postgres_tests() -> impl Iterator<Item = Test> {
    let all = tests![
        app_balance::changes_nothing_for_a_rejected_payment,
        app_balance::credits_each_payment_once_with_eight_workers,
        backup::refuses_partly_restored_database,
        debug_output::hides_contents_of_database,
        kills::killed_writers_lose_no_acknowledged_write_in_a_database,
        postgres_formats::opens_an_existing_store_with_its_rows,
        postgres_formats::opens_no_existing_store_in_an_empty_database,
        postgres_formats::opens_no_existing_store_in_foreign_tables,
        postgres_formats::opens_no_existing_store_of_an_older_format,
        postgres_formats::refuses_a_newer_format_and_names_the_remedy,
        postgres_formats::refuses_foreign_tables_and_leaves_them_unchanged,
        postgres_formats::upgrades_an_older_format_to_the_newest,
        postgres_outages::keeps_acknowledged_writes_and_reconnects_after_a_crash,
        postgres_outages::reports_write_on_a_cut_connection_as_unknown_or_done,
        postgres_outages::returns_errors_while_the_server_hangs_and_loses_nothing,
        postgres_processes::counts_increments_of_eight_processes_exactly_once,
        postgres_processes::nests_more_scans_than_it_keeps_connections,
        postgres_processes::opens_and_closes_within_an_async_task,
        postgres_processes::shows_acknowledged_writes_to_other_handles_at_once,
        postgres_processes::swaps_same_keys_in_any_order_without_deadlock,
        postgres_settings::enforces_synchronous_commit,
        postgres_settings::hides_user_and_password_of_an_open_store,
        postgres_settings::refuses_a_server_without_fsync,
    ];
    let without_server = tests![
        postgres_outages::reports_a_silent_server_as_unreachable,
        postgres_settings::hides_user_and_password_in_errors,
    ];
    let with_tls = tests![
        postgres_tls::binds_the_login_to_the_encrypted_connection,
        postgres_tls::encrypts_as_sslmode_says,
        postgres_tls::goes_on_without_tls_only_if_that_is_preferred,
        postgres_tls::logs_in_by_client_certificate,
        postgres_tls::logs_in_by_environment_and_password_file,
        postgres_tls::refuses_a_server_without_tls,
        postgres_tls::refuses_certificates_of_unknown_issuers,
        postgres_tls::refuses_certificates_with_another_name,
        postgres_tls::trusts_the_roots_of_the_system,
    ];
    without_server
        .into_iter()
        .chain(harness::ignore_if(postgres::missing(), all))
        .chain(harness::ignore_if(postgres_tls::missing(), with_tls))
}
