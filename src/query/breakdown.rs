//! A query, broken down by further labels: what its sums are sums of.

use promql_parser::label::Labels as Names;
use promql_parser::parser::token::{T_ADD, T_DIV, T_MUL, T_SUB, T_SUM, TokenType};
use promql_parser::parser::{BinaryExpr, Expr, LabelModifier};

use super::parser::parse;

/// What a query's value is made of, by its own labels and further ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    /// What is summed up; of a quotient the dividend.
    pub part: String,
    /// Of a quotient the divisor.
    pub whole: Option<String>,
}

impl Breakdown {
    /// Of a sum, or of a quotient of two: `sum by (a) (x)`, `sum by (a) (x) / sum by (a) (y)`, also as `1 - ..` or `100 * ..`.
    ///
    /// # Errors
    /// It is none of these, or one of the labels tells its results apart already.
    pub fn of(query: &str, labels: &[String]) -> Result<Self, String> {
        let expr = parse(query).map_err(|refusal| refusal.message)?;
        match essence(&expr) {
            Expr::Binary(BinaryExpr { op, lhs, rhs, .. }) if is(*op, T_DIV) => {
                Ok(Self { part: apart(lhs, labels)?, whole: Some(apart(rhs, labels)?) })
            }
            sum => Ok(Self { part: apart(sum, labels)?, whole: None }),
        }
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
        assert!(of("max by (a) (x)").is_err_and(|why| why.contains("is no sum")));
        assert_eq!(of("sum by (region) (x)"), Err("region tells the results apart already".into()));
    }
}
