//! What a driver told, and what it amounts to.

use serde::Deserialize;

/// One line of a driver.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Line {
    /// Milliseconds of the wall clock.
    at: f64,
    /// The library is loaded, and the first write is next.
    #[serde(default)]
    begin: bool,
    /// A write was acknowledged.
    #[serde(default)]
    ok: bool,
    /// A write was not, in the library's words.
    #[serde(default)]
    error: Option<String>,
}

/// All lines of a driver, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Vec<Line>);

impl Told {
    /// Reads them; what is no such line (a warning of the runtime, half a line) is left out.
    pub(crate) fn read(text: &str) -> Self {
        Self(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// How many writes were acknowledged since that moment.
    pub(crate) fn acknowledged_since(&self, since: f64) -> usize {
        self.0.iter().filter(|line| line.ok && line.at >= since).count()
    }

    /// From the moment at which the library was loaded to the first write.
    pub(crate) fn first_write_ms(&self) -> Option<f64> {
        let begin = self.0.iter().find(|line| line.begin)?.at;
        self.0.iter().find(|line| line.ok).map(|line| line.at - begin)
    }

    /// The longest time between two acknowledged writes, of which the second is not older than `since`; none if there was none after.
    pub(crate) fn longest_pause_ms(&self, since: f64) -> Option<f64> {
        let written: Vec<f64> = self.0.iter().filter(|line| line.ok).map(|line| line.at).collect();
        written.windows(2).filter(|pair| pair[1] >= since).map(|pair| pair[1] - pair[0]).max_by(f64::total_cmp)
    }

    /// What was told of writes that failed between two moments.
    pub(crate) fn errors(&self, since: f64, until: f64) -> Vec<String> {
        self.0.iter().filter(|line| (since..=until).contains(&line.at)).filter_map(|line| line.error.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_with_a_write_and_spans_the_act() {
        let told = Told::read(
            "{\"at\":1,\"begin\":true}\nWarning: nonsense\n{\"at\":10,\"ok\":true}\n{\"at\":90,\"ok\":true}\n{\"at\":95,\"error\":\"x\"}\n\
             {\"at\":150,\"ok\":true}\n{\"at\":155,",
        );
        assert_eq!(told.first_write_ms(), Some(9.0));
        assert_eq!(told.longest_pause_ms(94.0), Some(60.0), "the longer one was over before the act");
        assert_eq!(told.longest_pause_ms(151.0), None, "it never wrote again");
        assert_eq!(told.acknowledged_since(90.0), 2);
        assert_eq!(told.errors(91.0, 200.0), ["x"]);
    }
}
