//! A query, broken down by further labels: what its sums are sums of.

use promql_parser::label::{Labels as Names, MatchOp, Matcher};
use promql_parser::parser::token::{T_ADD, T_DIV, T_MUL, T_SUB, T_SUM, TokenType};
use promql_parser::parser::{BinaryExpr, Expr, LabelModifier, VectorSelector};

use super::parser::parse;

/// What a query's value is made of, by its own labels and further ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    /// What is summed up; of a quotient the dividend.
    pub part: String,
    /// Of a quotient the divisor.
    pub whole: Option<String>,
    /// The value is that, or so many times that, and not what is left of something.
    pub is_multiple: bool,
}

impl Breakdown {
    /// Of a sum, or of a quotient of two: `sum by (a) (x)`, `sum by (a) (x) / sum by (a) (y)`, also as `1 - ..` or `100 * ..`.
    ///
    /// # Errors
    /// It is none of these, one of the labels tells its results apart already, or it is what makes the dividend differ from the
    /// divisor, as the status does of failed requests.
    pub fn of(query: &str, labels: &[String]) -> Result<Self, String> {
        let expr = parse(query).map_err(|refusal| refusal.message)?;
        match essence(&expr) {
            Expr::Binary(BinaryExpr { op, lhs, rhs, .. }) if is(*op, T_DIV) => {
                if let Some(label) = labels.iter().find(|label| selects_by(lhs, label) && !selects_by(rhs, label)) {
                    return Err(format!("{label} picks out what is divided, and not what it is divided by: no part of it has a share"));
                }
                Ok(Self { part: apart(lhs, labels)?, whole: Some(apart(rhs, labels)?), is_multiple: is_multiple(&expr) })
            }
            sum => Ok(Self { part: apart(sum, labels)?, whole: None, is_multiple: is_multiple(&expr) }),
        }
    }
}

fn is_multiple(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => is_multiple(&inner.expr),
        Expr::Binary(BinaryExpr { op, lhs, rhs, .. }) => !is(*op, T_SUB) && !is(*op, T_ADD) && is_multiple(lhs) && is_multiple(rhs),
        _ => true,
    }
}

fn is(op: TokenType, token: u16) -> bool {
    op.id() == token
}

/// Without what changes the unit only, or turns a share into its rest.
fn essence(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => essence(&inner.expr),
        Expr::Binary(BinaryExpr { op, lhs, rhs, .. }) if is(*op, T_MUL) || is(*op, T_SUB) || is(*op, T_ADD) => {
            match (lhs.as_ref(), rhs.as_ref()) {
                (Expr::NumberLiteral(_), other) | (other, Expr::NumberLiteral(_)) => essence(other),
                _ => expr,
            }
        }
        // `100 * a / b` is `(100 * a) / b`.
        other => other,
    }
}

/// Whether some selector in it asks for a label.
fn selects_by(expr: &Expr, label: &str) -> bool {
    // That there is a label at all picks out nothing.
    let picks = |matcher: &Matcher| matcher.name == label && !(matcher.op == MatchOp::NotEqual && matcher.value.is_empty());
    let by = |selector: &VectorSelector| selector.matchers.matchers.iter().any(picks);
    match expr {
        Expr::VectorSelector(selector) => by(selector),
        Expr::MatrixSelector(selector) => by(&selector.vs),
        Expr::Aggregate(inner) => selects_by(&inner.expr, label),
        Expr::Unary(inner) => selects_by(&inner.expr, label),
        Expr::Paren(inner) => selects_by(&inner.expr, label),
        Expr::Subquery(inner) => selects_by(&inner.expr, label),
        Expr::Binary(BinaryExpr { lhs, rhs, .. }) => selects_by(lhs, label) || selects_by(rhs, label),
        Expr::Call(call) => call.args.args.iter().any(|argument| selects_by(argument, label)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => false,
    }
}

fn apart(expr: &Expr, labels: &[String]) -> Result<String, String> {
    let none = || format!("{expr} is no sum; dimensions are of a sum, or of a quotient of two");
    let Expr::Aggregate(sum) = essence(expr) else { return Err(none()) };
    if !is(sum.op, T_SUM) {
        return Err(none());
    }
    let mut sum = sum.clone();
    let apart = |label: &String| format!("{label} tells the results apart already");
    sum.modifier = Some(match sum.modifier {
        None => LabelModifier::Include(Names { labels: labels.to_vec() }),
        Some(LabelModifier::Include(by)) => {
            if let Some(known) = labels.iter().find(|label| by.labels.contains(label)) {
                return Err(apart(known));
            }
            LabelModifier::Include(Names { labels: by.labels.into_iter().chain(labels.iter().cloned()).collect() })
        }
        Some(LabelModifier::Exclude(without)) => {
            if let Some(known) = labels.iter().find(|label| !without.labels.contains(label)) {
                return Err(apart(known));
            }
            LabelModifier::Exclude(Names { labels: without.labels.into_iter().filter(|label| !labels.contains(label)).collect() })
        }
    });
    Ok(Expr::Aggregate(sum).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_quotients_of_sums_are_broken_down() {
        let of = |query: &str| {
            let labels = ["region".to_owned(), "channel".to_owned()];
            Breakdown::of(query, &labels).map(|b| (b.part, b.whole.unwrap_or_default()))
        };
        let is_multiple = |query: &str| Breakdown::of(query, &["region".to_owned()]).is_ok_and(|b| b.is_multiple);
        assert!(is_multiple("60 * (sum(x))") && !is_multiple("100 - sum(x)") && !is_multiple("60 * (sum(x) + 1)"));
        let shown = |part: &str, whole: &str| Ok((part.to_owned(), whole.to_owned()));
        assert_eq!(of("sum(orders)"), shown("sum by (region, channel) (orders)", ""));
        assert_eq!(of("sum by (service) (rate(orders[5m]))"), shown("sum by (service, region, channel) (rate(orders[5m]))", ""));
        assert_eq!(
            of("100 * sum by (a) (x) / sum by (a) (y)"),
            shown("sum by (a, region, channel) (x)", "sum by (a, region, channel) (y)")
        );
        assert_eq!(
            of("1 - (sum by (a) (x) / sum without (region, channel) (y))"),
            shown("sum by (a, region, channel) (x)", "sum without () (y)")
        );
        assert!(of(r#"sum(x{channel!=""}) / sum(x)"#).is_ok());
        let picked = of(r#"sum by (a) (rate(x{channel=~"5.."}[5m])) / sum by (a) (rate(x[5m]))"#);
        assert!(picked.is_err_and(|why| why.contains("no part of it has a share")));
        assert!(of(r#"sum(x{channel="web", failed="yes"}) / sum(x{channel="web"})"#).is_ok());
        assert!(of("max by (a) (x)").is_err_and(|why| why.contains("is no sum")));
        assert_eq!(of("sum by (region) (x)"), Err("region tells the results apart already".into()));
    }
}
