//! A document of headings, paragraphs, tables and bars, as Markdown or as one self-contained HTML page.

use std::fmt::Write;

use super::Pages;

/// A document.
#[derive(Debug, Default)]
pub(super) struct Document {
    title: String,
    blocks: Vec<Block>,
}

#[derive(Debug)]
enum Block {
    Heading(String),
    Text(String),
    Table {
        head: Vec<&'static str>,
        rows: Vec<Vec<String>>,
    },
    /// A label, how long the bar is, and what is written beside it.
    Bars(Vec<(String, f64, String)>),
    /// Numbers that stand for the whole.
    Figures(Vec<(String, String)>),
    Drawing(String),
}

impl Document {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: vec![] }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading(text.to_owned()));
    }

    pub(super) fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// A table; nothing where it has no rows.
    pub(super) fn table(&mut self, head: &[&'static str], rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            self.blocks.push(Block::Table { head: head.to_vec(), rows });
        }
    }

    pub(super) fn bars(&mut self, bars: Vec<(String, f64, String)>) {
        if !bars.is_empty() {
            self.blocks.push(Block::Bars(bars));
        }
    }

    pub(super) fn figures(&mut self, figures: Vec<(String, String)>) {
        self.blocks.push(Block::Figures(figures));
    }

    /// An SVG; of Markdown it is left out, for it has no place for one.
    pub(super) fn drawing(&mut self, svg: String) {
        self.blocks.push(Block::Drawing(svg));
    }

    /// As text.
    pub(super) fn written(&self, pages: Pages) -> String {
        match pages {
            Pages::Markdown => self.markdown(),
            Pages::Html => self.html(),
        }
    }

    fn markdown(&self) -> String {
        let mut out = format!("# {}\n", unmarked(&self.title));
        for block in &self.blocks {
            out.push('\n');
            match block {
                Block::Heading(text) => out += &format!("## {}\n", unmarked(text)),
                Block::Text(text) => out += &format!("{}\n", unmarked(text)),
                Block::Table { head, rows } => {
                    out += &format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
                    for row in rows {
                        let cells: Vec<String> = row.iter().map(|cell| unmarked(cell)).collect();
                        out += &format!("| {} |\n", cells.join(" | "));
                    }
                }
                Block::Bars(bars) => bars.iter().for_each(|(label, _, words)| out += &format!("- {}: {words}\n", unmarked(label))),
                Block::Figures(figures) => {
                    figures.iter().for_each(|(label, number)| out += &format!("- {}: **{number}**\n", unmarked(label)))
                }
                Block::Drawing(_) => {}
            }
        }
        out
    }

    fn html(&self) -> String {
        let title = escaped(&self.title);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        );
        for block in &self.blocks {
            block.html(&mut out);
        }
        out + "</body></html>\n"
    }
}

/// As Markdown that is only text: in one line, with its signs escaped.
fn unmarked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\r' | '\n' => out.push(' '),
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' => out.extend(['\\', sign]),
            '#' if out.is_empty() => out.push_str("\\#"),
            sign => out.push(sign),
        }
    }
    out
}

impl Block {
    fn html(&self, out: &mut String) {
        match self {
            Self::Heading(text) => *out += &format!("<h2>{}</h2>\n", escaped(text)),
            Self::Text(text) => *out += &format!("<p>{}</p>\n", escaped(text)),
            Self::Table { head, rows } => {
                let cells =
                    |tag: &str, cells: Vec<String>| cells.iter().fold(String::new(), |all, cell| all + &format!("<{tag}>{cell}</{tag}>"));
                *out += &format!("<table><tr>{}</tr>\n", cells("th", head.iter().map(|h| escaped(h)).collect()));
                for row in rows {
                    *out += &format!("<tr>{}</tr>\n", cells("td", row.iter().map(|cell| escaped(cell)).collect()));
                }
                *out += "</table>\n";
            }
            Self::Bars(bars) => {
                let longest = bars.iter().map(|(_, long, _)| *long).fold(f64::MIN_POSITIVE, f64::max);
                *out += "<div class=\"bars\">\n";
                for (label, long, words) in bars {
                    let width = (long / longest * 100.0).clamp(0.0, 100.0);
                    let (label, words) = (escaped(label), escaped(words));
                    *out += &format!("<span>{label}</span><b><i style=\"width:{width:.1}%\"></i></b><span>{words}</span>\n");
                }
                *out += "</div>\n";
            }
            Self::Figures(figures) => {
                *out += "<div class=\"figures\">\n";
                for (label, number) in figures {
                    *out += &format!("<div><strong>{}</strong><span>{}</span></div>\n", escaped(number), escaped(label));
                }
                *out += "</div>\n";
            }
            Self::Drawing(svg) => *out += &format!("<figure>{svg}</figure>\n"),
        }
    }
}

/// What stands for itself in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => write!(out, "{other}").unwrap_or_default(),
        }
    }
    out
}

const STYLE: &str = "
body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;max-width:1000px;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;border-bottom:3px solid #c0392b;padding-bottom:.4rem}h2{font-size:1.1rem;margin:1.6rem 0 .5rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e3e8ee;vertical-align:top}
th{color:#5b6b7b;font-weight:600}tr:hover td{background:#f6f8fa}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:.7rem;margin:1rem 0}
.figures div{background:#f4f6f9;border-radius:8px;padding:.7rem .9rem}.figures strong{display:block;font-size:1.5rem}.figures span{color:#5b6b7b;font-size:.85rem}
.bars{display:grid;grid-template-columns:max-content 1fr max-content;gap:.25rem .8rem;align-items:center;font-size:.92rem}
.bars{margin:.4rem 0}.bars+.bars{margin-top:1rem}
.bars b{background:#eef2f6;border-radius:4px;height:1rem}.bars i{display:block;height:1rem;border-radius:4px;background:#3b6ea5}
figure{margin:1rem 0}svg{max-width:100%;height:auto}
@media (prefers-color-scheme:dark){body{background:#14191f;color:#dde5ee}th,.figures span{color:#93a4b5}th,td{border-color:#2a343f}tr:hover td{background:#1b222a}.figures div,.bars b{background:#1f2832}figure{background:#fff;border-radius:8px}}
";

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let mut document = Document::new("A <b> & c");
        document.table(&["what", "number"], vec![vec!["a|b".into(), "1".into()]]);
        document.bars(vec![("x".into(), 2.0, "2".into()), ("y".into(), 1.0, "1".into())]);
        document
    }

    #[test]
    fn nothing_that_was_told_becomes_markup() {
        let html = document().written(Pages::Html);
        assert!(html.contains("<h1>A &lt;b&gt; &amp; c</h1>") && html.contains("width:50.0%"), "{html}");
        let markdown = document().written(Pages::Markdown);
        assert!(markdown.starts_with("# A \\<b\\> & c\n") && markdown.contains("| a\\|b | 1 |"), "{markdown}");
        assert_eq!(unmarked("# x\n\n## Done [here](http://evil)"), "\\# x  ## Done \\[here\\](http://evil)");
    }
}
