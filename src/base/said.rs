//! Words of others, made fit to be shown: in a log line, an error, a status.

/// Characters that are shown of one text.
const CHARS: usize = 80;

/// The text as a quotation of one line: control characters, line ends and what reverses the direction of writing are escaped, and a
/// long text is cut. Whatever another host says goes through here before a person or a program reads it.
pub fn said(text: &str) -> String {
    let cut: String = text.chars().take(CHARS).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("'{}{dots}'", cut.escape_debug())
}

/// The same without quotation marks, for a whole sentence of another sentinel.
pub fn said_plainly(text: &str) -> String {
    const SENTENCE_CHARS: usize = 400;
    let cut: String = text.chars().take(SENTENCE_CHARS).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    let escaped: String = cut
        .chars()
        .map(|letter| if letter == '\'' || letter == '"' { letter.to_string() } else { letter.escape_debug().to_string() })
        .collect();
    escaped + dots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_line_stays_within_its_own() {
        let forged = "prod\n2026-11-27T12:00:00Z  WARN +switch-master m 10.0.0.1 6379 10.6.6.6 6379\r\u{1b}[31m\u{202e}\0";
        for shown in [said(forged), said_plainly(forged)] {
            assert!(shown.chars().all(|letter| !letter.is_control() && letter != '\u{202e}'), "{shown:?}");
            assert_eq!(shown.lines().count(), 1);
            assert!(shown.contains("prod\\n2026"), "{shown}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(said("short"), "'short'");
        let shown = said(&"x".repeat(1_000_000));
        assert!(shown.len() < 100 && shown.ends_with("...'"), "{shown}");
        assert!(said_plainly(&"\n".repeat(1_000_000)).len() < 900);
        assert_eq!(said_plainly("sentinel 3: it's 'so'"), "sentinel 3: it's 'so'");
    }
}
