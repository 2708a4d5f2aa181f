//! The words that this project does not use, and what it writes instead; the exemptions beside them.
//!
//! `STYLE.md` has the reasons. A pattern is a regular expression without regard to case, between word boundaries. It is
//! held against the words of a line: `lane_of` is "lane of" and `HostLanes` is "Host Lanes", so that one
//! pattern finds prose, identifiers, test names and file names. `(?-i:Asked)` finds the type and leaves the verb alone.

/// A term that is not used.
pub(super) struct Term {
    /// What to look for.
    pub(super) pattern: &'static str,
    /// What to write instead.
    pub(super) write: &'static str,
    /// Where to look: the start of a path, or, with a slash before it, any part of one; everywhere when there is none.
    pub(super) only: &'static [&'static str],
    /// A line that matches this is right as it is.
    pub(super) unless: Option<&'static str>,
}

impl Term {
    const fn only(self, only: &'static [&'static str]) -> Self {
        Self { only, ..self }
    }

    const fn unless(self, unless: &'static str) -> Self {
        Self { unless: Some(unless), ..self }
    }
}

const fn term(pattern: &'static str, write: &'static str) -> Term {
    Term { pattern, write, only: &[], unless: None }
}

/// A line with this, and the line after it, is not checked: `// words: keep, the flag's old name`.
pub(super) const MARKER: &str = "words: keep";
/// From a line with the first to one with the second nothing is checked: the tables of an old schema, say.
pub(super) const REGION: [&str; 2] = ["words: keep from here", "words: keep until here"];

/// Where the code and the documents of the spool are.
const SPOOL: &[&str] = &["/spool/", "docs/reference/spool.md"];
const DATABASE: &[&str] = &["/spool/", "/database", "docs/reference/spool.md", "docs/guides/delivery.md"];
const RUST: &[&str] = &["runtime/", "tests/", "fuzz/"];
/// Where an operator or an author of a collector reads.
const FOR_PEOPLE: &[&str] = &["docs/", "README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "/cli/"];

/// All terms.
pub(super) const TERMS: &[Term] = &[
    // The way to the server.
    term("couriers?", "sender"),
    term("lanes?", "queue, queue scheduler"),
    term("takes? (?:bodies|payloads) again", "delivery resumed"),
    term("falls? off the spool|fell off the spool|fallen off the spool", "is evicted"),
    term("salvag(?:e|es|ed|ing)", "recovery, recover"),
    term("reserves?", "emergency space").only(DATABASE).unless(r#"\.reserve\(|"reserve"|/reserve|try_reserve"#),
    term("bod(?:y|ies)", "payload (encoded), batch (before encoding)").only(SPOOL),
    term("bod(?:y|ies) of datapoints|datapoints? bod(?:y|ies)", "payload (encoded), batch (before encoding)"),
    term("(?:stored|spooled|quarantined|undelivered|waiting) bod(?:y|ies)|bodies (?:wait|waiting)", "payload"),
    term("bod(?:y|ies) (?:is|are|was|were|be) (?:stored|spooled|posted|delivered|quarantined)", "payload"),
    term("agent's (?:bod(?:y|ies)|queue of bodies)|bodies of (?:an|the|each|every|one) agents?", "payload"),
    term("(?-i:News)|news", "log throttling").only(RUST),
    term("(?-i:Trouble)", "LoadError, ReloadError: say of what").only(RUST),
    term("in trouble", "failing"),
    // The daemon.
    term("ledgers?", "CollectorStats, statistics"),
    term("boards?", "DaemonStatus, status").only(RUST),
    term("journeys?", "collection task"),
    term("travell?ers?", "running tasks"),
    term("seats?", "concurrency permits"),
    term("departures?", "scheduled run"),
    term("agendas?", "schedule"),
    term("timetables?", "interval with offset"),
    term("(?-i:Wanted)", "DesiredCollector").only(RUST),
    term("(?:is|are|was|were|be|been|being) let rest|lets? (?:it|them) rest", "backs off"),
    term("the ones? before (?:go|goes|went) on", "keeps running the previous module"),
    // Modbus.
    term("desks?", "EndpointHandle, handle"),
    term("(?-i:Owner)", "RequestQueue").only(&["/modbus"]),
    term("(?-i:Gate)", "CircuitBreaker").only(&["/modbus", "/delivery", "/output"]),
    term("alarms?", "timeout (lazy)").only(&["runtime/"]).unless("(?i)alarm register|an alarm or"),
    term("guarded|under guard|(?-i:Guard)", "FrameFilter, filtered").only(&["/modbus"]).unless("MutexGuard"),
    term("sets? aside|setting aside|set aside", "circuit breaker open (unit), quarantine (payload)"),
    term("word orders?", "byte and word order").unless("(?i)byte and word order|no word order"),
    // Trying out.
    term("moods?", "scenario"),
    // The sandbox.
    term("lift(?:s|ed|ing)?", "componentize").only(&["runtime/", "docs/", "fuzz/", "tests/"]).unless("canon lift"),
    term("(?-i:Asked)", "RequestedAccess").only(&["runtime/"]),
    term("(?-i:Endings?)|endings", "termination reason").only(RUST),
    term("(?-i:enum Stop)", "enum TerminationReason or the like").only(RUST).unless("enum Stop[A-Z]"),
    term("(?:a|the|each|every|this|that|hostile|good|of) guests?", "collector (what runs), module (its file)")
        .only(FOR_PEOPLE)
        .unless(r"guest[-_]sdk|guests/|_guests?\b|_guests?_|pattoo_guest|guest's memory|guest memory"),
    // Those who write collectors.
    term("kits?", "SDK"),
    // What happens.
    term("mend(?:s|ed|ing)? itself", "recovers"),
    term("mend(?:s|ed|ing)?", "fix"),
    term("(?:is|are|was|were|be|been|being|server|goes|went|comes from) away", "unavailable"),
    term("(?-i:Away)", "Unavailable").only(RUST),
    term("(?:not|to) be had|can(?:not| not) be had|could not be had", "unavailable, not available"),
    term("taken for|takes? (?:it|them) for", "treated as"),
    term("at (?:its|their|his|her) word", "trusted"),
    term("faults? of our own", "internal error"),
    term("nobody'?s|somebody else'?s|somebody elses?", "say whose, or that there is none"),
    // Plain English.
    term("whoever|whosoever", "anyone who, the user who"),
    term("in vain", "without success"),
    term("anew", "again"),
    term("by and large", "mostly"),
    term("thereof|therein|wherein|hereby|herein|whence|thence|hither|thither", "of it, in it, from there")
        .unless("l_whence"),
    term("bears?|borne", "has, carries"),
    term("heed(?:s|ed|ing)?", "follow, respect"),
    term("lest|betimes|forthwith|naught|nought|albeit|ere", "plain English"),
    term("vouch(?:es|ed|ing)?", "verify, pin"),
    term("cunning|fain", "plain English"),
    term("means? (?:no good|harm|well)", "is malicious, is not malicious"),
    term("without a word", "silently"),
    term("sees? to it", "ensures"),
    term("of (?:its|their) own accord", "by itself"),
    term("complain(?:s|ed|ing)?", "print, report").only(&["xtask/"]),
];

/// Files that nobody here writes by hand, or whose subject the words are: the start or the end of a path, and why.
pub(super) const EXEMPT: &[(&str, &str)] = &[
    ("guests/", "programs of authors of collectors, who choose their own words"),
    ("tests/fixtures/", "what a release left behind"),
    ("tests/vectors/", "what pattoo_shared made"),
    ("guest-sdk/c/cJSON.c", "vendored"),
    ("guest-sdk/c/cJSON.h", "vendored"),
    ("guest-sdk/c/cJSON.LICENSE", "vendored"),
    ("fuzz/seeds/", "input of fuzz targets"),
    ("fuzz/dictionaries/", "input of fuzz targets"),
    ("LICENSE-APACHE", "a licence"),
    ("LICENSE-MIT", "a licence"),
    (".lock", "generated"),
    ("package-lock.json", "generated"),
    ("STYLE.md", "names the words"),
    ("xtask/src/words/", "names the words"),
];

/// Lines that are right as they are: a part of the path, and a regular expression for the line.
pub(super) const EXEMPT_LINES: &[(&str, &str)] = &[
    // The table of what was renamed.
    ("CHANGELOG.md", r"^\|"),
];

/// The longest source file that a person writes, in lines.
pub(super) const LINES: usize = 500;
/// How many sources a folder may have before it needs folders within.
pub(super) const SOURCES: usize = 20;
/// Names that cannot be read without their module: in the runtime each may name one type.
pub(super) const ONE_TYPE_EACH: &[&str] =
    &["Entry", "Limits", "Memory", "Place", "Refusal", "Table", "Trouble", "Verdict"];

/// Endings of source files.
pub(super) const SOURCE: &[&str] =
    &["rs", "c", "h", "hpp", "cpp", "go", "js", "ts", "py", "zig", "s", "sh", "wat", "wit"];

/// Folders that may have many sources in them.
pub(super) const LARGE: &[(&str, &str)] =
    &[("tests/hostile/guests", "a corpus: an attack is a file, found by its name")];
