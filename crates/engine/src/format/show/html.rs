//! Text inside HTML, as `StringEscapeUtils.escapeHtml4` writes it.

/// Names of U+00A0 to U+00FF, in order.
const LATIN_1: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo",
    "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot",
    "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc",
    "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute",
    "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash",
    "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute", "THORN", "szlig", "agrave", "aacute", "acirc", "atilde",
    "auml", "aring", "aelig", "ccedil", "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc",
    "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave",
    "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
];

/// Appends `text` with what HTML would misread written as entities.
pub(super) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        let latin = || u32::from(c).checked_sub(0xa0).and_then(|i| LATIN_1.get(usize::try_from(i).ok()?));
        let name = match c {
            '"' => "quot",
            '&' => "amp",
            '<' => "lt",
            '>' => "gt",
            c => match latin() {
                Some(name) => name,
                None => {
                    out.push(c);
                    continue;
                }
            },
        };
        out.push('&');
        out.push_str(name);
        out.push(';');
    }
}
