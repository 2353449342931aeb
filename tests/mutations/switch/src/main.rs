//! Puts the mutants of a crate behind a switch, all into one build:
//! `switch MUTANTS FOLDER` reads the list of `cargo mutants --list --json`, of which each
//! has got a `number`, changes the files below FOLDER, and prints which it could place,
//! and which cannot compile. `crate::mutated(NUMBER)` chooses.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs;
use std::ops::Range;
use std::path::Path;

use proc_macro2::{LineColumn, Span};
use serde::Deserialize;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, BinOp, Block, Expr, ExprBinary, ExprUnary};

#[derive(Deserialize)]
struct Mutant {
    number: u32,
    file: String,
    genre: String,
    replacement: String,
    span: Extent,
}

#[derive(Deserialize)]
struct Extent {
    start: Place,
}

/// Counted from one, as cargo-mutants counts.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    line: usize,
    column: usize,
}

impl From<LineColumn> for Place {
    fn from(at: LineColumn) -> Self {
        Self { line: at.line, column: at.column + 1 }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(list), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: switch MUTANTS FOLDER".into());
    };
    let mutants: Vec<Mutant> = serde_json::from_slice(&fs::read(list)?)?;
    let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    for mutant in &mutants {
        files.entry(&mutant.file).or_default().push(mutant);
    }
    for (file, mutants) in files {
        let path = Path::new(&folder).join(file);
        let source = fs::read_to_string(&path)?;
        let mut switches = Switches::new(&source, mutants);
        switches.visit_file(&syn::parse_file(&source)?);
        for (number, verdict) in &switches.placed {
            println!("{number} {verdict}");
        }
        fs::write(&path, switches.applied())?;
    }
    Ok(())
}

/// A text to insert. Where several begin at one place, the widest is the outermost.
struct Insertion {
    at: usize,
    closes: bool,
    width: usize,
    text: String,
}

struct Switches<'a> {
    source: &'a str,
    mutants: HashMap<(Place, &'a str), Vec<&'a Mutant>>,
    insertions: Vec<Insertion>,
    placed: Vec<(u32, &'static str)>,
}

impl<'a> Switches<'a> {
    fn new(source: &'a str, mutants: Vec<&'a Mutant>) -> Self {
        let mut by_place: HashMap<_, Vec<&Mutant>> = HashMap::new();
        for mutant in mutants {
            by_place.entry((mutant.span.start, mutant.genre.as_str())).or_default().push(mutant);
        }
        Self { source, mutants: by_place, insertions: Vec::new(), placed: Vec::new() }
    }

    fn take(&mut self, span: Span, genre: &'static str) -> Vec<&'a Mutant> {
        self.judge(span, genre, "placed")
    }

    fn judge(&mut self, span: Span, genre: &'static str, verdict: &'static str) -> Vec<&'a Mutant> {
        let taken = self.mutants.remove(&(span.start().into(), genre)).unwrap_or_default();
        self.placed.extend(taken.iter().map(|mutant| (mutant.number, verdict)));
        taken
    }

    fn text(&self, span: Span) -> &'a str {
        &self.source[span.byte_range()]
    }

    fn around(&mut self, range: Range<usize>, width: usize, before: String, after: &str) {
        let after = after.to_owned();
        self.insertions.push(Insertion { at: range.start, closes: false, width, text: before });
        self.insertions.push(Insertion { at: range.end, closes: true, width, text: after });
    }

    /// The expression, or another in its place.
    fn choice(&mut self, span: Span, others: Vec<(u32, String)>) {
        if others.is_empty() {
            return;
        }
        let branches: Vec<String> = others
            .into_iter()
            .map(|(number, other)| format!("if crate::mutated({number}) {{ {other} }} else"))
            .collect();
        let range = span.byte_range();
        self.around(range.clone(), range.len(), format!("({} {{ ", branches.join(" ")), " })");
    }

    fn applied(mut self) -> String {
        // At one place, what ends there ends before anything begins; the innermost first.
        self.insertions.sort_by_key(|insertion| {
            let width = insertion.width.cast_signed();
            (insertion.at, !insertion.closes, if insertion.closes { width } else { -width })
        });
        let mut out = String::new();
        let mut done = 0;
        for insertion in &self.insertions {
            out.push_str(&self.source[done..insertion.at]);
            out.push_str(&insertion.text);
            done = insertion.at;
        }
        out.push_str(&self.source[done..]);
        out
    }
}

impl<'a> Visit<'a> for Switches<'_> {
    // A constant cannot depend on a switch.
    fn visit_item_const(&mut self, _: &'a syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'a syn::ImplItemConst) {}

    fn visit_block(&mut self, block: &'a Block) {
        if let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) {
            let body = first.span().byte_range().start..last.span().byte_range().end;
            let mut text = String::new();
            for mutant in self.take(first.span(), "FnValue") {
                let (number, value) = (mutant.number, &mutant.replacement);
                text.push_str(&format!("if crate::mutated({number}) {{ return {value}; }}; "));
            }
            // Wider than any expression that begins there.
            let width = body.len() + 1;
            self.insertions.push(Insertion { at: body.start, closes: false, width, text });
        }
        visit::visit_block(self, block);
    }

    fn visit_expr_binary(&mut self, expression: &'a ExprBinary) {
        let (left, right) = (self.text(expression.left.span()), self.text(expression.right.span()));
        let (at, genre) = (expression.op.span(), "BinaryOperator");
        // A chain of `let`s knows no other operator.
        if in_chain_of_lets(expression) {
            self.judge(at, genre, "unviable");
        } else {
            let mutants = self.take(at, genre);
            let other = |m: &&Mutant| (m.number, format!("{left} {} {right}", m.replacement));
            self.choice(expression.span(), mutants.iter().map(other).collect());
        }
        visit::visit_expr_binary(self, expression);
    }

    fn visit_expr_unary(&mut self, expression: &'a ExprUnary) {
        let mutants = self.take(expression.op.span(), "UnaryOperator");
        let operand = self.text(expression.expr.span()).to_owned();
        let others = mutants.iter().map(|mutant| (mutant.number, operand.clone())).collect();
        self.choice(expression.span(), others);
        visit::visit_expr_unary(self, expression);
    }

    fn visit_arm(&mut self, arm: &'a Arm) {
        let deleted = self.take(arm.span(), "MatchArm");
        let deleted: Vec<String> =
            deleted.iter().map(|mutant| format!("!crate::mutated({})", mutant.number)).collect();
        match &arm.guard {
            Some((_, guard)) => {
                let others = self.take(guard.span(), "MatchArmGuard");
                let others = others.iter().map(|m| (m.number, m.replacement.clone())).collect();
                self.choice(guard.span(), others);
                if !deleted.is_empty() {
                    let range = guard.span().byte_range();
                    let width = range.len() + 1;
                    self.around(range, width, format!("{} && (", deleted.join(" && ")), ")");
                }
            }
            None if !deleted.is_empty() => {
                let end = arm.pat.span().byte_range().end;
                let text = format!(" if {}", deleted.join(" && "));
                self.insertions.push(Insertion {
                    at: end,
                    closes: true,
                    width: usize::MAX / 4,
                    text,
                });
            }
            None => {}
        }
        visit::visit_arm(self, arm);
    }
}

fn in_chain_of_lets(expression: &ExprBinary) -> bool {
    matches!(expression.op, BinOp::And(_))
        && [&expression.left, &expression.right].into_iter().any(|side| match &**side {
            Expr::Let(_) => true,
            Expr::Binary(inner) => in_chain_of_lets(inner),
            _ => false,
        })
}
