//! Charts, drawn on the server as SVG: geometry in attributes and colours by classes, so that no style is needed beside the
//! page's own. The drawing is stretched to its place; letters stand around it as text, so that they are not. Everything that a
//! chart shows stands in its table as well.

use std::fmt::Write as _;

/// Units of the drawing from left to right; from top to bottom there are [`HEIGHT`].
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;
/// The share of a step that is left free between bars.
const GAP: f64 = 0.22;
/// Lines above the one at zero, at most.
const LINES_MAX: i64 = 4;
/// The shades of a heatmap, from something to most.
const SHADES: i64 = 4;

/// What a chart is about.
pub(crate) struct About {
    /// Its name in addresses and to assistive technology; one of a page.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What there is to see, in one sentence.
    pub(crate) sentence: String,
    /// What is said where there is nothing to see.
    pub(crate) empty: &'static str,
}

/// From left to right.
pub(crate) struct Axis {
    /// The name of each step.
    pub(crate) steps: Vec<String>,
    /// What stands below, each for as many steps as the others.
    pub(crate) labels: Vec<String>,
    /// What the steps are: `Hour`.
    pub(crate) unit: &'static str,
}

/// One kind of what is counted, step by step.
pub(crate) struct Series {
    pub(crate) name: String,
    /// The classes of its colour.
    pub(crate) tone: &'static str,
    pub(crate) values: Vec<i64>,
}

impl Series {
    fn total(&self) -> i64 {
        self.values.iter().sum()
    }
}

/// A cell of a heatmap: its name and how many.
pub(crate) type Cell = (String, u64);

/// A column of a heatmap, which leads somewhere.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) path: String,
    /// From top to bottom; none: there is no such day.
    pub(crate) cells: Vec<Option<Cell>>,
}

/// A row of a chart of ranks.
pub(crate) struct Rank {
    pub(crate) name: String,
    /// The classes of its colour.
    pub(crate) tone: &'static str,
    pub(crate) value: i64,
}

/// A chart, ready to be written.
pub(crate) struct Chart {
    pub(crate) about: About,
    /// `bars`, `area`, `heat` or `ranks`.
    pub(crate) kind: &'static str,
    /// From top to bottom.
    pub(crate) ticks: Vec<String>,
    /// The lines behind everything.
    pub(crate) lines: String,
    pub(crate) marks: Vec<Mark>,
    pub(crate) labels: Vec<String>,
    /// Classes, name, how many.
    pub(crate) legend: Vec<(&'static str, String, String)>,
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Something drawn, with what it says.
#[derive(Default)]
pub(crate) struct Mark {
    pub(crate) title: String,
    pub(crate) path: Option<String>,
    pub(crate) shapes: Vec<Shape>,
}

/// A piece of the drawing: classes, and a path.
pub(crate) struct Shape {
    pub(crate) classes: String,
    pub(crate) d: String,
}

impl Chart {
    /// Whether anything can be followed, so that it is no mere picture.
    pub(crate) fn leads_on(&self) -> bool {
        self.marks.iter().any(|mark| mark.path.is_some())
    }

    fn new(about: About, kind: &'static str, heads: Vec<String>) -> Self {
        let (ticks, labels, legend) = (Vec::new(), Vec::new(), Vec::new());
        Self { about, kind, ticks, lines: String::new(), marks: Vec::new(), labels, legend, heads, rows: Vec::new() }
    }

    fn scaled(mut self, scale: &Scale) -> Self {
        self.ticks = scale.ticks().into_iter().rev().map(count).collect();
        let intervals = scale.top / scale.step;
        for line in 0..=intervals {
            let _ = write!(self.lines, "M0 {:.1}H{WIDTH}", HEIGHT * line as f64 / intervals as f64);
        }
        self
    }
}

/// How high what is.
struct Scale {
    top: i64,
    step: i64,
}

impl Scale {
    /// Round steps, few of them, and all of it below the highest.
    fn up_to(most: i64) -> Self {
        let most = most.max(1);
        let mut magnitude = 1;
        loop {
            for factor in [1, 2, 5] {
                let step = magnitude * factor;
                let lines = (most + step - 1) / step;
                if lines <= LINES_MAX {
                    return Self { top: lines * step, step };
                }
            }
            magnitude = i64::saturating_mul(magnitude, 10);
        }
    }

    fn ticks(&self) -> Vec<i64> {
        (0..=self.top / self.step).map(|line| line * self.step).collect()
    }

    /// The height of a value in units.
    fn height(&self, value: i64) -> f64 {
        HEIGHT * value as f64 / self.top as f64
    }
}

/// How bars of one step stand to each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bars {
    /// One on the other: together they are the whole.
    Stacked,
    /// One beside the other.
    Beside,
}

/// Bars. Series in which nothing happened are left out.
pub(crate) fn bars(about: About, axis: Axis, series: Vec<Series>, bars: Bars) -> Chart {
    let series: Vec<Series> = series.into_iter().filter(|one| one.total() > 0).collect();
    let heads = heads(&axis, &series);
    let mut chart = Chart::new(about, "bars", heads);
    if series.is_empty() {
        return chart;
    }
    let at = |step: usize| series.iter().map(move |one| one.values.get(step).copied().unwrap_or_default());
    let most = (0..axis.steps.len()).map(|step| match bars {
        Bars::Stacked => at(step).sum(),
        Bars::Beside => at(step).max().unwrap_or_default(),
    });
    let scale = Scale::up_to(most.max().unwrap_or_default());
    chart = chart.scaled(&scale);
    let slot = WIDTH / axis.steps.len() as f64;
    for (number, name) in axis.steps.iter().enumerate() {
        let values: Vec<i64> = at(number).collect();
        chart.marks.push(Mark {
            title: said(name, &series, &values),
            path: None,
            shapes: shapes(number, slot, &values, &series, &scale, bars),
        });
        push_row(&mut chart, name, &values);
    }
    finished(chart, axis, &series)
}

fn shapes(number: usize, slot: f64, values: &[i64], series: &[Series], scale: &Scale, bars: Bars) -> Vec<Shape> {
    let (left, width) = (slot * (number as f64 + GAP / 2.0), slot * (1.0 - GAP));
    let mut shapes = vec![whole(slot * number as f64, slot)];
    let mut below = 0.0;
    let part = width / series.len() as f64;
    for (place, (value, one)) in values.iter().zip(series).enumerate().filter(|(_, (value, _))| **value > 0) {
        // Whatever is there is seen.
        let height = scale.height(*value).max(1.0);
        let (x, w) = if bars == Bars::Stacked { (left, width) } else { (left + part * place as f64, part) };
        let y = HEIGHT - below - height;
        shapes.push(Shape { classes: one.tone.to_owned(), d: rectangle(x, y, w, height) });
        if bars == Bars::Stacked {
            below += height;
        }
    }
    shapes
}

/// A line with what is below it filled, of one series.
pub(crate) fn area(about: About, axis: Axis, series: Series) -> Chart {
    let series = [series];
    let heads = heads(&axis, &series);
    let mut chart = Chart::new(about, "area", heads);
    let [one] = &series;
    if one.total() == 0 {
        return chart;
    }
    let scale = Scale::up_to(one.values.iter().copied().max().unwrap_or_default());
    chart = chart.scaled(&scale);
    let slot = WIDTH / axis.steps.len() as f64;
    let point = |(number, value): (usize, &i64)| {
        format!("{:.1} {:.1}", slot * (number as f64 + 0.5), HEIGHT - scale.height(*value))
    };
    let points = one.values.iter().enumerate().map(point).collect::<Vec<_>>().join("L");
    let (first, last) = (slot / 2.0, WIDTH - slot / 2.0);
    let under = Shape {
        classes: format!("{} under", one.tone),
        d: format!("M{first:.1} {HEIGHT}L{points}L{last:.1} {HEIGHT}z"),
    };
    let line = Shape { classes: format!("{} line", one.tone), d: format!("M{points}") };
    chart.marks.push(Mark { shapes: vec![under, line], ..Mark::default() });
    for (number, name) in axis.steps.iter().enumerate() {
        let values = [one.values.get(number).copied().unwrap_or_default()];
        let shapes = vec![whole(slot * number as f64, slot)];
        chart.marks.push(Mark { title: said(name, &series, &values), path: None, shapes });
        push_row(&mut chart, name, &values);
    }
    finished(chart, axis, &series)
}

/// Cells in columns, the darker the more there is. Each column leads somewhere.
pub(crate) fn heatmap(about: About, rows: &[&str], columns: Vec<Column>, heads: [&str; 2]) -> Chart {
    let most = columns.iter().flat_map(|column| column.cells.iter().flatten()).map(|(_, value)| *value).max();
    let mut chart = Chart::new(about, "heat", heads.map(str::to_owned).to_vec());
    let Some(most) = most.filter(|most| *most > 0) else { return chart };
    let (wide, high) = (WIDTH / columns.len() as f64, HEIGHT / rows.len() as f64);
    for (number, column) in columns.into_iter().enumerate() {
        let mut mark = Mark { path: Some(column.path), ..Mark::default() };
        let mut sum = 0;
        for (row, cell) in column.cells.into_iter().enumerate() {
            let Some((name, value)) = cell else { continue };
            let (x, y) = (wide * (number as f64 + GAP / 4.0), high * (row as f64 + GAP / 4.0));
            let d = rectangle(x, y, wide * (1.0 - GAP / 2.0), high * (1.0 - GAP / 2.0));
            mark.shapes.push(Shape { classes: format!("shade-{}", shade(value, most)), d });
            sum += value;
            if value > 0 {
                chart.rows.push(vec![name, count(value.cast_signed())]);
            }
        }
        mark.title = format!("{}: {}", column.name, count(sum.cast_signed()));
        chart.marks.push(mark);
        chart.labels.push(column.label);
    }
    chart.ticks = rows.iter().map(|row| (*row).to_owned()).collect();
    chart
}

/// Bars that lie one below the other, each with its name and number on its left.
pub(crate) fn ranks(about: About, ranks: Vec<Rank>, heads: [&str; 2]) -> Chart {
    let mut chart = Chart::new(about, "ranks", heads.map(str::to_owned).to_vec());
    let most = ranks.iter().map(|rank| rank.value).max().unwrap_or_default().max(1);
    let high = HEIGHT / ranks.len().max(1) as f64;
    for (number, Rank { name, tone, value }) in ranks.into_iter().enumerate() {
        let top = high * number as f64;
        // Whatever is there is seen.
        let width = (WIDTH * value as f64 / most as f64).max(2.0);
        let bar = rectangle(0.0, top + high * GAP / 2.0, width, high * (1.0 - GAP));
        chart.marks.push(Mark {
            title: format!("{name}: {}", count(value)),
            path: None,
            shapes: vec![
                Shape { classes: "hit".to_owned(), d: rectangle(0.0, top, WIDTH, high) },
                Shape { classes: tone.to_owned(), d: bar },
            ],
        });
        chart.ticks.push(format!("{name} · {}", count(value)));
        chart.rows.push(vec![name, count(value)]);
    }
    chart
}

fn shade(value: u64, most: u64) -> i64 {
    (value.cast_signed() * SHADES + most.cast_signed() - 1) / most.cast_signed()
}

fn heads(axis: &Axis, series: &[Series]) -> Vec<String> {
    std::iter::once(axis.unit.to_owned()).chain(series.iter().map(|one| one.name.clone())).collect()
}

/// Steps in which nothing happened are left out of the table.
fn push_row(chart: &mut Chart, name: &str, values: &[i64]) {
    if values.iter().any(|value| *value > 0) {
        let values = values.iter().map(|value| count(*value));
        chart.rows.push(std::iter::once(name.to_owned()).chain(values).collect());
    }
}

fn finished(mut chart: Chart, axis: Axis, series: &[Series]) -> Chart {
    chart.legend = series.iter().map(|one| (one.tone, one.name.clone(), count(one.total()))).collect();
    chart.labels = axis.labels;
    chart
}

/// What a step says: `26 Nov 13:00: valid 38, expired 3`.
fn said(name: &str, series: &[Series], values: &[i64]) -> String {
    let some = series.iter().zip(values).filter(|(_, value)| **value > 0);
    let parts: Vec<String> = some.map(|(one, value)| format!("{} {}", one.name, count(*value))).collect();
    if parts.is_empty() { format!("{name}: none") } else { format!("{name}: {}", parts.join(", ")) }
}

fn rectangle(x: f64, y: f64, width: f64, height: f64) -> String {
    format!("M{x:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}z")
}

/// All of a step, so that what it says is found above a short bar as well.
fn whole(x: f64, width: f64) -> Shape {
    Shape { classes: "hit".to_owned(), d: rectangle(x, 0.0, width, HEIGHT) }
}

/// A number as people read it: `48,213`.
pub(crate) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use super::*;

    #[derive(Template)]
    #[template(
        source = r#"{% import "console/chart.html" as charts %}{% call charts::chart(chart) %}{% endcall %}"#,
        ext = "html"
    )]
    struct Drawn {
        chart: Chart,
    }

    fn drawn(chart: Chart) -> String {
        Drawn { chart }.render().unwrap().replace("<g", "\n<g").replace("<a", "\n<a").replace("<tr", "\n<tr")
    }

    fn about(id: &'static str) -> About {
        About { id, title: "Checks", sentence: "5 checks.".to_owned(), empty: "No app has asked yet." }
    }

    fn axis() -> Axis {
        let steps = ["00:00", "06:00", "12:00", "18:00"].map(str::to_owned).to_vec();
        Axis { steps, labels: vec!["00:00".to_owned(), "12:00".to_owned()], unit: "From" }
    }

    fn series(name: &str, tone: &'static str, values: [i64; 4]) -> Series {
        Series { name: name.to_owned(), tone, values: values.to_vec() }
    }

    #[test]
    fn bars_stand_on_each_other_or_beside_each_other() {
        let both = || {
            let none = series("frozen", "t-cold", [0; 4]);
            vec![series("valid", "t-good", [3, 0, 40, 1]), none, series("expired", "t-quiet", [1, 0, 2, 0])]
        };
        insta::assert_snapshot!("stacked", drawn(bars(about("stacked"), axis(), both(), Bars::Stacked)));
        insta::assert_snapshot!("beside", drawn(bars(about("beside"), axis(), both(), Bars::Beside)));
        insta::assert_snapshot!("nothing", drawn(bars(about("nothing"), axis(), Vec::new(), Bars::Beside)));
    }

    #[test]
    fn an_area_is_one_line_and_a_place_to_point_at_for_each_step() {
        insta::assert_snapshot!("area", drawn(area(about("area"), axis(), series("new", "t-accent", [0, 7, 12, 5]))));
    }

    #[test]
    fn a_heatmap_leads_to_what_it_shows() {
        let column = |name: &str, cells| Column {
            name: format!("Week of {name}"),
            label: name.to_owned(),
            path: "/licenses?within=7".to_owned(),
            cells,
        };
        let cell = |name: &str, value| Some((name.to_owned(), value));
        let columns = vec![
            column("23 Nov", vec![None, cell("24 Nov", 1)]),
            column("30 Nov", vec![cell("30 Nov", 0), cell("1 Dec", 1_200)]),
        ];
        let chart = heatmap(about("heat"), &["Mon", "Tue"], columns, ["Day", "Licenses"]);
        insta::assert_snapshot!("heatmap", drawn(chart));
    }

    #[test]
    fn ranks_lie_one_below_the_other() {
        let rank = |name: &str, tone, value| Rank { name: name.to_owned(), tone, value };
        let all = vec![rank("3.4.1", "t-accent", 1_200), rank("3.3", "t-accent", 3), rank("not told", "t-quiet", 40)];
        insta::assert_snapshot!("ranks", drawn(ranks(about("ranks"), all, ["Version", "Devices"])));
    }

    #[test]
    fn scales_are_round_and_hold_everything() {
        for (most, ticks) in [
            (0, vec![0, 1]),
            (1, vec![0, 1]),
            (4, vec![0, 1, 2, 3, 4]),
            (5, vec![0, 2, 4, 6]),
            (41, vec![0, 20, 40, 60]),
            (100, vec![0, 50, 100]),
            (1_999, vec![0, 500, 1_000, 1_500, 2_000]),
            (48_000_000, vec![0, 20_000_000, 40_000_000, 60_000_000]),
        ] {
            assert_eq!(Scale::up_to(most).ticks(), ticks, "{most}");
        }
    }

    #[test]
    fn numbers_are_read_in_threes() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (-1_000, "-1,000")] {
            assert_eq!(count(number), text);
        }
    }
}
