//! Progress while it runs, on standard error: a bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where progress is shown. Cheap to clone.
#[derive(Clone)]
pub struct Screen {
    bar: ProgressBar,
    kind: Kind,
    begin: Instant,
    /// The last tenth of the steps that was written, where lines are written.
    written: Arc<Mutex<u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A bar that moves.
    Terminal,
    /// Lines.
    Lines,
    /// Nothing.
    Silent,
}

impl Screen {
    /// For whoever looks at standard error.
    pub fn stderr() -> Self {
        let kind = if std::io::stderr().is_terminal() { Kind::Terminal } else { Kind::Lines };
        Self::of(kind)
    }

    /// Shows nothing.
    pub fn silent() -> Self {
        Self::of(Kind::Silent)
    }

    fn of(kind: Kind) -> Self {
        let target = match kind {
            Kind::Terminal => ProgressDrawTarget::stderr_with_hz(15),
            Kind::Lines | Kind::Silent => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        Self { bar, kind, begin: Instant::now(), written: Arc::default() }
    }

    /// A new chapter begins.
    pub fn begin(&self, what: &str) {
        self.chapter(what, "  {spinner} {msg}");
    }

    /// A chapter of so many steps begins.
    pub fn steps(&self, total: usize, what: &str) {
        self.bar.reset();
        self.bar.set_length(total as u64);
        self.chapter(what, "  {spinner} {msg}  {bar:28} {pos}/{len}  {elapsed}");
    }

    fn chapter(&self, what: &str, template: &str) {
        self.note_done();
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("━╸─").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        self.bar.set_message(what.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(100));
        self.line(what);
    }

    /// On a terminal, leaves the chapter that ends as a line.
    fn note_done(&self) {
        let message = self.bar.message();
        if self.kind == Kind::Terminal && !message.is_empty() {
            self.bar.println(format!("  ✓ {message}"));
        }
    }

    /// A step is done.
    pub fn tick(&self) {
        self.bar.inc(1);
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let tenth = (10 * done).checked_div(total).unwrap_or(0);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if tenth > *written {
            *written = tenth;
            drop(written);
            self.line(&format!("{done} of {total} steps"));
        }
    }

    /// Something worth telling happened.
    pub fn note(&self, what: &str) {
        match self.kind {
            Kind::Terminal => self.bar.println(format!("    {what}")),
            Kind::Lines => self.line(what),
            Kind::Silent => {}
        }
    }

    /// Progress has come to its end.
    pub fn end(&self) {
        self.note_done();
        self.bar.finish_and_clear();
    }

    fn line(&self, what: &str) {
        if self.kind == Kind::Lines {
            let seconds = self.begin.elapsed().as_secs_f64();
            // Nobody can be told that nobody can be told.
            let _ = writeln!(std::io::stderr(), "{seconds:6.1} s  {what}");
        }
    }
}
