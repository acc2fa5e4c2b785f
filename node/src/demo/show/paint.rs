//! Colours, where the terminal and its user want them.

/// Paints, or does not.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// Whether to paint.
    pub const fn new(colour: bool) -> Self {
        Self(colour)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Important.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Beside the point.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Good.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Otherwise than expected.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Wrong.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }
}
