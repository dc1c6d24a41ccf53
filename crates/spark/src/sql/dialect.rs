//! Spark's dialect for `sqlparser`, over text that [`super::lexical`] has rewritten.

use datafusion::sql::sqlparser::{
    ast::{BinaryOperator, Expr, Ident, ObjectName, UnaryOperator},
    dialect::{Dialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::Token,
};

/// Spark's grammar where `sqlparser` asks for it.
#[derive(Debug)]
pub(super) struct SparkDialect;

impl Dialect for SparkDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }

    fn supports_from_first_select(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_select_item_multi_column_alias(&self) -> bool {
        true
    }

    fn supports_cte_without_as(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    /// `a DIV b` binds like `*`, `a || b` like `+`.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::Word(word) if word.keyword == Keyword::DIV => {
                Some(Ok(self.prec_value(Precedence::MulDivModOp)))
            }
            Token::StringConcat => Some(Ok(self.prec_value(Precedence::PlusMinus))),
            _ => None,
        }
    }

    /// `exists(array, x -> ..)` is a function; `EXISTS (query)` is left to the parser.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let negated = keyword(parser, 0) == Some(Keyword::NOT);
        if !is_exists_of_array(parser, usize::from(negated)) {
            return None;
        }
        if negated {
            // The parser itself takes every NOT EXISTS for one of a query.
            parser.next_token();
            let operand = parser.parse_subexpr(self.prec_value(Precedence::UnaryNot));
            return Some(
                operand.map(|operand| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(operand) }),
            );
        }
        parser.next_token();
        Some(parser.parse_function(ObjectName::from(vec![Ident::new("exists")])))
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if !parser.parse_keyword(Keyword::DIV) {
            return None;
        }
        Some(parser.parse_subexpr(precedence).map(|right| Expr::BinaryOp {
            left: Box::new(expr.clone()),
            op: BinaryOperator::MyIntegerDivide,
            right: Box::new(right),
        }))
    }
}

/// The keyword `ahead` tokens on, unquoted.
fn keyword(parser: &Parser, ahead: usize) -> Option<Keyword> {
    match &parser.peek_nth_token_ref(ahead).token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Whether `EXISTS (`, `ahead` tokens on, opens something other than a query.
fn is_exists_of_array(parser: &Parser, ahead: usize) -> bool {
    if keyword(parser, ahead) != Some(Keyword::EXISTS) {
        return false;
    }
    let opens = |n: usize| parser.peek_nth_token_ref(n).token == Token::LParen;
    let Some(inner) = (ahead + 1..).find(|n| !opens(*n)) else { return false };
    let query = [Keyword::SELECT, Keyword::WITH, Keyword::FROM, Keyword::VALUES, Keyword::TABLE];
    inner > ahead + 1 && !keyword(parser, inner).is_some_and(|first| query.contains(&first))
}
