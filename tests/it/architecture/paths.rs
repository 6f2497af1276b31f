use std::path::Path;

/// A path that a file names.
#[derive(Debug)]
pub(super) struct Named {
    /// Where.
    pub(super) line: usize,
    /// Its parts; paths into this crate are resolved and begin with `crate`.
    pub(super) path: Vec<String>,
}

/// Every path of two parts or more in the code of `file`, and every path of a `use` or `extern crate`; braces are expanded, `self`
/// and `super` resolved. Comments and literals are not code.
pub(super) fn named_paths(file: &Path, text: &str) -> Vec<Named> {
    let tokens = tokens(&code_of(text));
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        module: module_path(file),
        inner: Vec::new(),
        depth: 0,
        found: Vec::new(),
    };
    reader.read();
    reader.found
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Colons,
    Mark(char),
}

struct Reader<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    /// The file's module.
    module: Vec<String>,
    /// Modules opened inside of the file, with the depth of their braces.
    inner: Vec<(String, usize)>,
    depth: usize,
    found: Vec<Named>,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some((_, token)) = self.tokens.get(self.at) {
            match token {
                Token::Word(word) if word == "use" => {
                    self.at += 1;
                    self.tree(&[], true);
                }
                Token::Word(word) if word == "extern" && self.word_at(1) == Some("crate") => {
                    self.at += 2;
                    self.tree(&[], true);
                }
                Token::Word(word) if word == "mod" && self.is_mark(2, '{') => {
                    let name = self.word_at(1).unwrap_or_default().to_owned();
                    self.at += 3;
                    self.depth += 1;
                    self.inner.push((name, self.depth));
                }
                Token::Word(_) | Token::Colons => self.tree(&[], false),
                Token::Mark(mark) => {
                    self.brace(*mark);
                    self.at += 1;
                }
            }
        }
    }

    fn brace(&mut self, mark: char) {
        if mark == '{' {
            self.depth += 1;
        } else if mark == '}' {
            if self
                .inner
                .last()
                .is_some_and(|(_, depth)| *depth == self.depth)
            {
                self.inner.pop();
            }
            self.depth = self.depth.saturating_sub(1);
        }
    }

    /// Reads a path, or a tree of them, behind `prefix`.
    fn tree(&mut self, prefix: &[String], is_use: bool) {
        let mut path = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |(line, _)| *line);
        loop {
            match self.tokens.get(self.at).map(|(_, token)| token) {
                Some(Token::Word(word)) => {
                    path.push(word.clone());
                    self.at += 1;
                }
                Some(Token::Mark('*')) if is_use => {
                    path.push("*".to_owned());
                    self.at += 1;
                }
                Some(Token::Mark('{')) if is_use => {
                    self.at += 1;
                    while !self.is_mark(0, '}') && self.at < self.tokens.len() {
                        self.tree(&path, true);
                        if self.is_mark(0, ',') {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                // A path that begins with the colons, or that a generic argument interrupts.
                Some(Token::Colons) if path.is_empty() => {}
                _ => break,
            }
            if matches!(self.tokens.get(self.at), Some((_, Token::Colons))) {
                self.at += 1;
            } else {
                break;
            }
        }
        if is_use && self.word_at(0) == Some("as") {
            self.at += 2;
        }
        if path.is_empty() {
            // Nothing that this reader knows: go on behind it.
            self.at += 1;
        } else if is_use || path.len() > 1 {
            let path = self.resolve(path);
            self.found.push(Named { line, path });
        }
    }

    fn resolve(&self, path: Vec<String>) -> Vec<String> {
        let is_relative = matches!(path.first().map(String::as_str), Some("self" | "super"));
        if !is_relative {
            // `use a::{self}` names a.
            let ends_with_self = path.len() > 1 && path.last().is_some_and(|part| part == "self");
            return path[..path.len() - usize::from(ends_with_self)].to_vec();
        }
        let inner = self.inner.iter().map(|(name, _)| name.clone());
        let mut resolved: Vec<String> = self.module.iter().cloned().chain(inner).collect();
        for part in path {
            match part.as_str() {
                "self" => {}
                "super" => drop(resolved.pop()),
                _ => resolved.push(part),
            }
        }
        std::iter::once("crate".to_owned())
            .chain(resolved)
            .collect()
    }

    fn word_at(&self, ahead: usize) -> Option<&str> {
        match self.tokens.get(self.at + ahead) {
            Some((_, Token::Word(word))) => Some(word),
            _ => None,
        }
    }

    fn is_mark(&self, ahead: usize, mark: char) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some((_, Token::Mark(found))) if *found == mark)
    }
}

/// The path of a file's module inside of its crate.
fn module_path(file: &Path) -> Vec<String> {
    let location = file.with_extension("");
    let mut parts: Vec<String> = location
        .iter()
        .skip(1)
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts
        .last()
        .is_some_and(|part| part == "mod" || part == "lib" || part == "main")
    {
        parts.pop();
    }
    parts
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = code.chars().peekable();
    while let Some(character) = rest.next() {
        if character == '\n' {
            line += 1;
        } else if character == '_' || character.is_alphanumeric() {
            let mut word = String::from(character);
            while let Some(next) = rest.next_if(|next| *next == '_' || next.is_alphanumeric()) {
                word.push(next);
            }
            tokens.push((line, Token::Word(word)));
        } else if character == ':' && rest.next_if_eq(&':').is_some() {
            tokens.push((line, Token::Colons));
        } else if !character.is_whitespace() {
            tokens.push((line, Token::Mark(character)));
        }
    }
    tokens
}

/// The text with comments and literals taken out; lines keep their numbers.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = match character {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !ends_in_word(&code) && raw_hashes(rest).is_some() => raw_string(rest),
            '\'' => character_literal(rest),
            _ => 0,
        };
        let (gone, kept) = rest.split_at(skipped);
        code.extend(gone.chars().filter(|character| *character == '\n'));
        rest = kept;
        if skipped == 0 {
            code.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    code
}

fn ends_in_word(code: &str) -> bool {
    // b"…" and c"…" have raw forms too: br"…".
    let last = code.chars().next_back();
    last.is_some_and(|last| last == '_' || (last.is_alphanumeric() && last != 'b' && last != 'c'))
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The hashes of a raw string that begins here; `None` when none does.
fn raw_hashes(text: &str) -> Option<usize> {
    let behind = text.strip_prefix('r')?;
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    behind[hashes..].starts_with('"').then_some(hashes)
}

fn raw_string(text: &str) -> usize {
    let hashes = raw_hashes(text).unwrap_or(0);
    let end = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 2;
    text[start..]
        .find(&end)
        .map_or(text.len(), |at| start + at + end.len())
}

/// The length of a character literal, 0 for a lifetime.
fn character_literal(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), _) => text[3..].find('\'').map_or(text.len(), |at| at + 4),
        (_, Some((at, '\''))) => at + 1,
        _ => 0,
    }
}
