//! The findings as a page that works offline: one file, with everything in it.
//!
//! The page is `assets/report.html`, with what it has in common with others in `assets/page.css` and
//! `assets/page.js`; the findings go into it as JSON, the chart library as it was published
//! (`assets/README.md`).

const PAGE: &str = include_str!("../../assets/report.html");
const STYLE: &str = include_str!("../../assets/page.css");
const SCRIPT: &str = include_str!("../../assets/page.js");
const CHARTS: &str = include_str!("../../assets/echarts.min.js");
/// What stands in a page for its parts, once each.
pub(crate) const MARKS: [&str; 4] = ["/*STYLE*/", "/*SCRIPT*/", "/*CHARTS*/", "/*FINDINGS*/"];

/// The page of these findings, given as JSON.
pub fn page(findings: &str) -> String {
    filled(PAGE, findings)
}

/// A page with its marks replaced: by what all pages have in common, by the chart library, and by
/// JSON for its script.
pub(crate) fn filled(page: &str, findings: &str) -> String {
    // Inside a script element only `</` and `<!--` could end or change it.
    let findings = findings.replace('<', "\\u003c");
    // The findings come last: what stands in them is not looked through.
    let contents = [STYLE, SCRIPT, CHARTS, &findings];
    let fill = |page: String, (mark, content): (&str, &str)| page.replace(mark, content);
    MARKS.into_iter().zip(contents).fold(page.to_owned(), fill)
}

#[cfg(test)]
mod tests;
