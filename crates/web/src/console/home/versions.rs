//! Which versions of apps are in use, by product.

use std::{cmp::Ordering, collections::BTreeMap};

use domain::id::ProductId;
use engine::figures::{InUse, Versions};
use store::rows;

use super::charts::{of_them, share};
use crate::console::chart::{About, Chart, Rank, ranks};

/// Versions of a product that have a bar of their own at most; those that fewer devices have share one.
const SHOWN: usize = 6;
/// Products that are shown at most: those with the most devices.
const PRODUCTS: usize = 4;
const TONES: [&str; PRODUCTS] = ["t-accent", "t-good", "t-cold", "t-warn"];

/// A product, its devices, and of these so many with each version, the newest first. A version that was not told is none.
struct Product<'v> {
    name: &'v str,
    devices: i64,
    versions: Vec<(Option<&'v str>, i64)>,
}

/// The chart.
pub(super) fn chart(products: &[rows::Product], versions: &Versions) -> Chart {
    let products = by_product(products, &versions.in_use);
    let told = products.iter().any(|product| product.versions.iter().any(|(version, _)| version.is_some()));
    let about = About {
        id: "versions",
        title: "App versions in use",
        sentence: sentence(&products, versions.days),
        empty: "No app has told its version yet. It does with `app_version` beside the fingerprint of its device.",
    };
    let heads = ["Version", "Devices"];
    if !told {
        return ranks(about, Vec::new(), heads);
    }
    let has_names = products.len() > 1;
    let shown = products.iter().zip(TONES).flat_map(|(product, tone)| of_product(product, tone, has_names));
    ranks(about, shown.collect(), heads)
}

fn by_product<'v>(known: &'v [rows::Product], in_use: &'v [InUse]) -> Vec<Product<'v>> {
    let mut by_product: BTreeMap<ProductId, Vec<(Option<&str>, i64)>> = BTreeMap::new();
    for InUse { product, version, devices } in in_use {
        by_product.entry(*product).or_default().push((version.as_deref(), *devices));
    }
    let product = |(id, mut versions): (ProductId, Vec<(Option<&'v str>, i64)>)| {
        versions.sort_by(|(one, _), (other, _)| newest_first(*one, *other));
        Product {
            name: known.iter().find(|row| row.id == id.0).map_or("another product", |row| row.name.as_str()),
            devices: versions.iter().map(|(_, devices)| devices).sum(),
            versions,
        }
    };
    let mut products: Vec<_> = by_product.into_iter().map(product).collect();
    products.sort_by_key(|product| std::cmp::Reverse(product.devices));
    products
}

fn sentence(products: &[Product<'_>], days: i64) -> String {
    let all: i64 = products.iter().map(|product| product.devices).sum();
    let seen = format!("{} seen in the last {days} days", of_them(all, "device"));
    let newest = |product: &Product<'_>| {
        product.versions.first().and_then(|(version, devices)| Some(((*version)?.to_owned(), *devices)))
    };
    match products {
        [product] => match newest(product) {
            Some((version, devices)) => format!("{seen}; {} of them with {version}, the newest.", share(devices, all)),
            None => format!("{seen}."),
        },
        _ if products.len() > PRODUCTS => {
            format!("{seen}, of {} products; the {PRODUCTS} with the most devices are shown.", products.len())
        }
        _ => format!("{seen}, of {} products.", products.len()),
    }
}

/// The bars of a product: its most frequent versions in their order, then all others, then those that were not told.
fn of_product(product: &Product<'_>, tone: &'static str, has_name: bool) -> Vec<Rank> {
    let mut most: Vec<i64> =
        product.versions.iter().filter(|(version, _)| version.is_some()).map(|(_, devices)| *devices).collect();
    most.sort_unstable_by_key(|devices| std::cmp::Reverse(*devices));
    let least = most.get(SHOWN - 1).copied().unwrap_or_default();
    let rank = |words: &str, tone, value| Rank {
        name: if has_name { format!("{} {words}", product.name) } else { words.to_owned() },
        tone,
        value,
    };
    let (mut ranks, mut others, mut untold) = (Vec::new(), 0, 0);
    for (version, devices) in &product.versions {
        match version {
            Some(version) if *devices >= least && ranks.len() < SHOWN => ranks.push(rank(version, tone, *devices)),
            Some(_) => others += devices,
            None => untold += devices,
        }
    }
    ranks.extend((others > 0).then(|| rank("others", "t-quiet", others)));
    ranks.extend((untold > 0).then(|| rank("not told", "t-quiet", untold)));
    ranks
}

/// Newer versions first, as people number them; one that was not told comes last.
fn newest_first(one: Option<&str>, other: Option<&str>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => numbered(other).cmp(&numbered(one)).then_with(|| other.cmp(one)),
        _ => other.is_some().cmp(&one.is_some()),
    }
}

/// The parts of a version, to be compared: numbers as such, words after no word. What comes before a release (`-beta`) is older
/// than it.
fn numbered(version: &str) -> Vec<(i8, u64, String)> {
    let release = |part: &str| part.parse().map(|number| (2, number, String::new()));
    let (main, before) = version.split_once('-').map_or((version, None), |(main, before)| (main, Some(before)));
    let parts = |text: &str| -> Vec<_> {
        text.split(['.', '+', ' ', '_']).map(|part| release(part).unwrap_or_else(|_| (1, 0, part.to_owned()))).collect()
    };
    let mut numbered = parts(main);
    match before {
        Some(before) => {
            numbered.push((-1, 0, String::new()));
            numbered.extend(parts(before));
        }
        None => numbered.push((0, 0, String::new())),
    }
    numbered
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn versions_are_ordered_as_people_number_them() {
        let mut versions = [
            Some("3.4"),
            None,
            Some("3.10.0"),
            Some("3.4.1"),
            Some("3.4.1-beta.2"),
            Some("3.9"),
            Some("3.4.1-beta.10"),
        ];
        versions.sort_by(|one, other| newest_first(*one, *other));
        assert_eq!(
            versions,
            [
                Some("3.10.0"),
                Some("3.9"),
                Some("3.4.1"),
                Some("3.4.1-beta.10"),
                Some("3.4.1-beta.2"),
                Some("3.4"),
                None
            ]
        );
    }

    fn told(in_use: &[(u128, Option<&str>, i64)]) -> (String, Vec<Vec<String>>) {
        let product = |number: u128, name: &str| rows::Product {
            id: Uuid::from_u128(number),
            tenant_id: Uuid::nil(),
            code: name.to_lowercase(),
            name: name.to_owned(),
            key_prefix: String::new(),
            brand: String::new(),
            created_at: 0,
        };
        let in_use = in_use.iter().map(|(product, version, devices)| InUse {
            product: ProductId(Uuid::from_u128(*product)),
            version: version.map(str::to_owned),
            devices: *devices,
        });
        let products = [product(1, "Studio"), product(2, "Tool")];
        let chart = chart(&products, &Versions { days: 7, in_use: in_use.collect() });
        (chart.about.sentence, chart.rows)
    }

    #[test]
    fn the_most_frequent_versions_have_bars() {
        let row = |name: &str, devices: &str| vec![name.to_owned(), devices.to_owned()];
        assert_eq!(told(&[(1, None, 9)]).1, [] as [Vec<String>; 0], "nobody tells a version");
        let (sentence, rows) = told(&[(1, Some("3.3"), 1), (1, Some("3.4"), 3), (1, None, 4)]);
        assert_eq!(sentence, "8 devices seen in the last 7 days; 37.5 % of them with 3.4, the newest.");
        assert_eq!(rows, [row("3.4", "3"), row("3.3", "1"), row("not told", "4")]);
        let (sentence, rows) = told(&[(1, Some("3.3"), 1), (2, Some("1.0"), 5)]);
        assert_eq!(sentence, "6 devices seen in the last 7 days, of 2 products.");
        assert_eq!(rows, [row("Tool 1.0", "5"), row("Studio 3.3", "1")]);
        let many: Vec<_> = ["1", "2", "3", "4", "5", "6", "7", "8"].into_iter().map(|one| (1, Some(one), 2)).collect();
        let (_, rows) = told(&many);
        assert_eq!((rows.len(), &rows[0], &rows[SHOWN]), (SHOWN + 1, &row("8", "2"), &row("others", "4")));
    }
}
