//! Statements written in SQL that Diesel prepares once per connection, as it does not with `sql_query`.

/// Names the SQL type of a statement's rows, and lets it be loaded and cached.
///
/// `const` means that its text never changes, so the type alone is the key of the cache; else the text is.
macro_rules! statement {
    (const $name:ident $(<$life:lifetime>)?, $rows:ty) => {
        impl$(<$life>)? diesel::query_builder::QueryId for $name$(<$life>)? {
            type QueryId = statement!(@static $name $(<$life>)?);
            const HAS_STATIC_QUERY_ID: bool = true;
        }
        statement!(@rows $name $(<$life>)?, $rows);
    };
    ($name:ident, $rows:ty) => {
        impl diesel::query_builder::QueryId for $name {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }
        statement!(@rows $name, $rows);
    };
    (@static $name:ident <$life:lifetime>) => { $name<'static> };
    (@static $name:ident) => { $name };
    (@rows $name:ident $(<$life:lifetime>)?, $rows:ty) => {
        impl$(<$life>)? diesel::query_builder::Query for $name$(<$life>)? {
            type SqlType = $rows;
        }
        impl$(<$life>)? diesel::RunQueryDsl<diesel::PgConnection> for $name$(<$life>)? {}
    };
}

pub(crate) use statement;
