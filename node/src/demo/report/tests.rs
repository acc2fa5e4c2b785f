//! The page is whole, asks nobody for anything, and what is in it cannot break out of it.

use super::*;

/// BLAKE3 of the chart library as published: `assets/README.md` says which.
const CHARTS_HASH: &str = "7152c2b737c1539a68b63f1ba2478d5bcfb68e0ae38b35daef854a184c0b1149";

#[test]
fn the_chart_library_is_the_published_one() {
    assert_eq!(blake3::hash(CHARTS.as_bytes()).to_hex().as_str(), CHARTS_HASH);
}

#[test]
fn the_page_itself_names_no_place_on_the_network() {
    for forbidden in ["http://", "https://", "src=", "href=", "@import", "url(", "fetch("] {
        for part in [PAGE, STYLE, SCRIPT] {
            assert!(!part.contains(forbidden), "{forbidden}");
        }
    }
}

#[test]
fn the_marks_are_there_once_and_replaced() {
    let page = page("{}");
    for mark in MARKS {
        assert_eq!((PAGE.matches(mark).count(), page.matches(mark).count()), (1, 0), "{mark}");
    }
}

/// Nor are the findings searched for marks.
#[test]
fn findings_cannot_end_their_script() {
    let nasty = serde_json::json!({ "a": "</script><script>alert(1)</script><!--", "b": MARKS });
    let page = page(&nasty.to_string());
    let begin = page.find("id=\"findings\">").unwrap() + "id=\"findings\">".len();
    let end = begin + page[begin..].find("</script>").unwrap();
    let back: serde_json::Value = serde_json::from_str(&page[begin..end]).unwrap();
    assert_eq!(back, nasty);
}

#[test]
fn every_element_that_is_opened_is_closed() {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = PAGE;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let Some(end) = rest.find('>') else { break };
        let tag = rest[..end].split_whitespace().next().unwrap_or_default();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if tag.chars().all(|c| c.is_ascii_alphanumeric()) && !["meta"].contains(&tag) {
            open.push(tag);
            if ["script", "style"].contains(&tag) {
                let close = rest.find(&format!("</{tag}>")).unwrap();
                rest = &rest[close..];
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
