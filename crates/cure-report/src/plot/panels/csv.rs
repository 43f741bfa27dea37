//! Tables of numbers one beneath another.

use crate::text::csv_record;

/// The records of a CSV (RFC 4180), each with its fields.
fn records(csv: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let (mut record, mut field) = (Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = csv.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

/// All rows under all columns, in the order in which these first occur, with
/// the table's name in the column `key`.
pub(super) fn stack<'a>(key: &str, tables: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let tables: Vec<(&str, Vec<Vec<String>>)> =
        tables.map(|(name, csv)| (name, records(csv))).collect();
    let mut columns: Vec<&str> = Vec::new();
    for column in tables.iter().filter_map(|(_, table)| table.first()).flatten() {
        if !columns.contains(&column.as_str()) {
            columns.push(column);
        }
    }
    let mut csv = csv_record([key].into_iter().chain(columns.iter().copied()));
    for (name, table) in &tables {
        let Some((header, rows)) = table.split_first() else { continue };
        let places: Vec<Option<usize>> =
            columns.iter().map(|column| header.iter().position(|h| h == column)).collect();
        for row in rows {
            let field = |place: &Option<usize>| {
                place.and_then(|place| row.get(place)).map_or("", String::as_str)
            };
            csv += &csv_record([*name].into_iter().chain(places.iter().map(field)));
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_joined_and_quotes_survive() {
        let tables =
            [("one, two", "a,b\n1,\"x,\"\"y\"\"\nz\"\n"), ("three", "b,c\n2,3\n"), ("", "")];
        assert_eq!(
            stack("panel", tables.into_iter()),
            "panel,a,b,c\n\"one, two\",1,\"x,\"\"y\"\"\nz\",\nthree,,2,3\n"
        );
    }
}
