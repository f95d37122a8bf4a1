//! Plots as SVG, to stand inside the page: how a time is distributed, and its percentiles, target beside target.

use plotters::prelude::*;

use super::statistics::{histogram, percentile, sorted};

/// Size of a plot, in pixels before scaling.
const SIZE: (u32, u32) = (560, 300);

/// One target's values under one name.
pub struct Row<'a> {
    /// Target.
    pub target: &'a str,
    /// Values.
    pub values: &'a [f64],
}

/// Words in a plot.
pub struct Labels {
    /// Horizontal axis of the histogram and vertical one of the percentiles.
    pub value: String,
    /// Vertical axis of the histogram.
    pub count: String,
    /// Horizontal axis of the percentiles.
    pub percentile: String,
}

/// Colours that stay apart in grey and for most colour-blind people (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// How often which value, target beside target; `None` where there is nothing to draw.
pub fn distribution(rows: &[Row<'_>], labels: &Labels) -> Option<String> {
    let values: Vec<&[f64]> = rows.iter().map(|row| row.values).collect();
    let histogram = histogram(&values)?;
    let classes = histogram.counts.iter().map(Vec::len).max()?;
    let most = histogram.counts.iter().flatten().copied().max()?;
    // A few values far out are told, not drawn.
    let value = match histogram.beyond {
        None => labels.value.clone(),
        Some((limit, count)) => format!("{} (> {}: {count})", labels.value, short(limit)),
    };
    #[allow(clippy::cast_precision_loss)]
    let edge = |class: usize| histogram.from + histogram.width * class as f64;
    let mut svg = String::new();
    let drawn = (|| {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(48)
            .build_cartesian_2d(edge(0)..edge(classes), 0u32..headroom(most, rows.len()))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(value.as_str())
            .y_desc(labels.count.as_str())
            .x_label_formatter(&|x| short(*x))
            .draw()?;
        #[allow(clippy::cast_precision_loss)]
        let part = histogram.width / rows.len() as f64;
        for (index, (row, counts)) in rows.iter().zip(&histogram.counts).enumerate() {
            let colour = colour(index);
            let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(class, count)| {
                #[allow(clippy::cast_precision_loss)]
                let from = edge(class) + part * index as f64;
                Rectangle::new([(from, 0), (from + part, *count)], colour.mix(0.7).filled())
            });
            chart.draw_series(bars)?.label(row.target).legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.mix(0.7).filled())
            });
        }
        legend(&mut chart, rows.len(), SeriesLabelPosition::UpperRight)?;
        root.present()
    })();
    drawn.is_ok().then_some(())?;
    Some(in_page(&svg))
}

/// The value below which so many percent lie; `None` where there is nothing to draw.
pub fn percentiles(rows: &[Row<'_>], labels: &Labels) -> Option<String> {
    let sorted: Vec<Vec<f64>> = rows.iter().map(|row| sorted(row.values)).collect();
    let all = || sorted.iter().flatten().copied();
    let (min, max) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
    let room = ((max - min) * 0.05).max(max.abs() * 0.01).max(0.001);
    let mut svg = String::new();
    let drawn = (|| {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0f64..100f64, (min - room)..(max + room))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(labels.percentile.as_str())
            .y_desc(labels.value.as_str())
            .y_label_formatter(&|y| short(*y))
            .draw()?;
        for (index, (row, values)) in rows.iter().zip(&sorted).enumerate().filter(|(_, (_, v))| !v.is_empty())
        {
            let colour = colour(index);
            let points = (0..=100).map(|p| (f64::from(p), percentile(values, f64::from(p))));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(row.target)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
        }
        // Curves of percentiles rise to the right.
        legend(&mut chart, rows.len(), SeriesLabelPosition::UpperLeft)?;
        root.present()
    })();
    drawn.is_ok().then_some(())?;
    Some(in_page(&svg))
}

/// One target needs no legend: its name stands above the plot.
fn legend<'a, DB, CT>(
    chart: &mut ChartContext<'a, DB, CT>,
    rows: usize,
    position: SeriesLabelPosition,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>>
where
    DB: DrawingBackend + 'a,
    CT: CoordTranslate,
{
    if rows < 2 {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()
}

/// Room above the highest bar, so that the legend covers none.
fn headroom(most: u32, rows: usize) -> u32 {
    let legend = if rows < 2 { 0 } else { most / 10 * u32::try_from(rows + 1).unwrap_or(u32::MAX).min(10) };
    most.saturating_add(legend).saturating_add(1)
}

/// Three significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 10_000.0 {
        format!("{:.0}k", value / 1000.0)
    } else if size >= 100.0 || size == 0.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

/// Scales with the page, and keeps its proportions.
fn in_page(svg: &str) -> String {
    let (width, height) = SIZE;
    let fixed = format!("width=\"{width}\" height=\"{height}\"");
    svg.replacen(&fixed, "role=\"img\"", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels { value: "ms".to_owned(), count: "件数".to_owned(), percentile: "%".to_owned() }
    }

    #[test]
    fn plots_are_drawn_for_one_value_and_for_many() {
        let many: Vec<f64> = (0..200).map(|n| 1.0 + f64::from(n % 17) / 10.0).collect();
        for values in [vec![1.0], vec![2.0, 2.0], many] {
            let rows = [Row { target: "a & <b>", values: &values }, Row { target: "c", values: &values }];
            for svg in [distribution(&rows, &labels()), percentiles(&rows, &labels())] {
                let svg = svg.unwrap();
                assert!(svg.starts_with("<svg") && svg.contains("viewBox"), "{svg}");
                assert!(!svg.contains("NaN") && !svg.contains("<b>"));
            }
        }
        assert!(distribution(&[Row { target: "a", values: &[] }], &labels()).is_none());
        assert!(percentiles(&[], &labels()).is_none());
    }
}
