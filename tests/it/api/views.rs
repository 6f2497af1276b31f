use super::database::Database;

/// Views and tables that people read must say what they hold.
#[tokio::test]
async fn every_view_and_column_is_explained_and_every_table_too() {
    let database = Database::migrated().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT format('%s.%s %s', n.nspname, c.relname, a.attname)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
         WHERE (n.nspname = 'tidewatch' AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL))
            OR (n.nspname = 'ledger' AND c.relkind = 'r' AND obj_description(c.oid) IS NULL)",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    assert_eq!(silent, Vec::<String>::new());
}
