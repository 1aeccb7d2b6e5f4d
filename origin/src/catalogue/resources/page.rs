//! Pages of a list.

use super::super::{Catalogue, CatalogueError, signed};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow, QueryBuilder, Sqlite};

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageWanted {
    /// Rows at most.
    pub(crate) size: u32,
    /// Only rows that were added before the one of this number.
    pub(crate) before: Option<i64>,
    /// Rows to leave out before the first.
    pub(crate) skip: u64,
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// Its rows.
    pub(crate) items: Vec<T>,
    /// What the next page is before; `None` on the last page.
    pub(crate) next: Option<i64>,
}

/// A row, and the number that it got when it was added.
#[derive(sqlx::FromRow)]
struct Numbered<T> {
    row_number: i64,
    #[sqlx(flatten)]
    row: T,
}

impl Catalogue {
    /// A page of a table's rows that fulfil a condition on `owner`, its `?1`.
    pub(super) async fn page<T>(
        &self,
        columns: &str,
        table: &str,
        condition: &str,
        owner: &str,
        wanted: &PageWanted,
    ) -> Result<Page<T>, CatalogueError>
    where
        T: for<'row> FromRow<'row, SqliteRow> + Send + Unpin,
    {
        let rows: Vec<Numbered<T>> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT rowid AS row_number, {columns} FROM {table} WHERE {condition} AND rowid < ?2 \
             ORDER BY rowid DESC LIMIT ?3 OFFSET ?4"
        )))
        .bind(owner)
        .bind(wanted.before.unwrap_or(i64::MAX))
        // One row more than the page has tells whether there is a next page.
        .bind(i64::from(wanted.size) + 1)
        .bind(signed(wanted.skip))
        .fetch_all(self.reader())
        .await?;
        Ok(page(rows, wanted.size as usize))
    }

    /// A page of a table's rows that fulfil the conditions that `narrow` adds, each with its `AND` before it.
    pub(super) async fn filtered_page<T>(
        &self,
        columns: &str,
        table: &str,
        wanted: &PageWanted,
        narrow: impl FnOnce(&mut QueryBuilder<Sqlite>) + Send,
    ) -> Result<Page<T>, CatalogueError>
    where
        T: for<'row> FromRow<'row, SqliteRow> + Send + Unpin,
    {
        let mut query =
            QueryBuilder::new(format!("SELECT rowid AS row_number, {columns} FROM {table} WHERE rowid < "));
        query.push_bind(wanted.before.unwrap_or(i64::MAX));
        narrow(&mut query);
        query.push(" ORDER BY rowid DESC LIMIT ").push_bind(i64::from(wanted.size) + 1);
        query.push(" OFFSET ").push_bind(signed(wanted.skip));
        let rows: Vec<Numbered<T>> = query.build_query_as().fetch_all(self.reader()).await?;
        Ok(page(rows, wanted.size as usize))
    }
}

fn page<T>(mut rows: Vec<Numbered<T>>, size: usize) -> Page<T> {
    let has_next = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| has_next).map(|last| last.row_number);
    Page { items: rows.into_iter().map(|numbered| numbered.row).collect(), next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_next_one_only_where_more_was_read() {
        let rows = |numbers: &[i64]| {
            numbers.iter().map(|number| Numbered { row_number: *number, row: *number }).collect::<Vec<_>>()
        };
        assert_eq!(page(rows(&[9, 8, 7]), 2), Page { items: vec![9, 8], next: Some(8) });
        assert_eq!(page(rows(&[9, 8]), 2), Page { items: vec![9, 8], next: None });
    }
}
