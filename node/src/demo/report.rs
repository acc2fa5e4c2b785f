//! The findings as a page that works offline: one file, with everything in it.
//!
//! The page is `assets/report.html`; the findings go into it as JSON, the chart library as it was
//! published (`assets/README.md`).

const PAGE: &str = include_str!("../../assets/report.html");
const CHARTS: &str = include_str!("../../assets/echarts.min.js");
const FINDINGS_MARK: &str = "/*FINDINGS*/";
const CHARTS_MARK: &str = "/*CHARTS*/";

/// The page of these findings, given as JSON.
pub fn page(findings: &str) -> String {
    filled(PAGE, findings)
}

/// A page with its marks replaced: by JSON for its script, and by the chart library.
pub(crate) fn filled(page: &str, findings: &str) -> String {
    // Inside a script element only `</` and `<!--` could end or change it.
    let findings = findings.replace('<', "\\u003c");
    let mut filled = String::with_capacity(page.len() + CHARTS.len() + findings.len());
    for (index, part) in page.split(FINDINGS_MARK).enumerate() {
        if index > 0 {
            filled.push_str(&findings);
        }
        for (index, part) in part.split(CHARTS_MARK).enumerate() {
            if index > 0 {
                filled.push_str(CHARTS);
            }
            filled.push_str(part);
        }
    }
    filled
}

#[cfg(test)]
mod tests;
