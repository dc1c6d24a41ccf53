//! `OVER` and the `WINDOW` clause.

use datafusion::sql::sqlparser::ast::{
    Ident, NamedWindowDefinition, NamedWindowExpr, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowSpec,
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto,
    expression::{ExprType, window},
};

use super::{
    literal,
    message::{call, expression},
    query::Converter,
};

impl Converter<'_> {
    /// Takes the windows a `SELECT` names into scope; returns how many there were before.
    pub(super) fn name_windows(&mut self, windows: &[NamedWindowDefinition]) -> Result<usize> {
        let before = self.windows.len();
        for NamedWindowDefinition(name, definition) in windows {
            let spec = match definition {
                NamedWindowExpr::WindowSpec(spec) => spec.clone(),
                NamedWindowExpr::NamedWindow(other) => self.named_window(other)?,
            };
            self.windows.push((name.value.clone(), spec));
        }
        Ok(before)
    }

    /// The window called `name`.
    pub(super) fn named_window(&self, name: &Ident) -> Result<WindowSpec> {
        let named = self.windows.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(&name.value));
        named.map(|(_, spec)| spec.clone()).ok_or_else(|| {
            SparkError::new("MISSING_WINDOW_SPECIFICATION")
                .with("windowName", name.value.clone())
                .with("docroot", "https://spark.apache.org/docs/latest")
        })
    }

    /// `function OVER (spec)`.
    pub(super) fn over(
        &mut self,
        function: proto::Expression,
        spec: &WindowSpec,
    ) -> Result<proto::Expression> {
        if let Some(name) = &spec.window_name {
            // As in Spark's grammar, a named window stands alone: `(w)`.
            let plain =
                spec.partition_by.is_empty() && spec.order_by.is_empty() && spec.window_frame.is_none();
            if !plain {
                return Err(SparkError::unsupported("a window that extends a named one"));
            }
            let named = self.named_window(name)?;
            return self.over(function, &named);
        }
        let partition_spec = spec.partition_by.iter().map(|e| self.expr(e)).collect::<Result<_>>()?;
        let order_spec = spec.order_by.iter().map(|e| self.sort_order(e)).collect::<Result<_>>()?;
        let frame_spec = spec.window_frame.as_ref().map(|frame| self.frame(frame)).transpose()?;
        Ok(expression(ExprType::Window(Box::new(proto::expression::Window {
            window_function: Some(Box::new(function)),
            partition_spec,
            order_spec,
            frame_spec: frame_spec.map(Box::new),
        }))))
    }

    fn frame(&mut self, frame: &WindowFrame) -> Result<window::WindowFrame> {
        let frame_type = match frame.units {
            WindowFrameUnits::Rows => window::window_frame::FrameType::Row,
            WindowFrameUnits::Range => window::window_frame::FrameType::Range,
            WindowFrameUnits::Groups => return Err(SparkError::unsupported("a window frame in GROUPS")),
        };
        let upper = frame.end_bound.as_ref().unwrap_or(&WindowFrameBound::CurrentRow);
        Ok(window::WindowFrame {
            frame_type: frame_type.into(),
            lower: Some(Box::new(self.bound(&frame.start_bound)?)),
            upper: Some(Box::new(self.bound(upper)?)),
        })
    }

    fn bound(&mut self, bound: &WindowFrameBound) -> Result<window::window_frame::FrameBoundary> {
        use window::window_frame::frame_boundary::Boundary;
        let boundary = match bound {
            WindowFrameBound::CurrentRow => Boundary::CurrentRow(true),
            WindowFrameBound::Preceding(None) | WindowFrameBound::Following(None) => {
                Boundary::Unbounded(true)
            }
            WindowFrameBound::Following(Some(rows)) => Boundary::Value(Box::new(self.expr(rows)?)),
            WindowFrameBound::Preceding(Some(rows)) => {
                let rows = self.expr(rows)?;
                let negative = literal::negated(&rows).unwrap_or_else(|| call("negative", vec![rows]));
                Boundary::Value(Box::new(negative))
            }
        };
        Ok(window::window_frame::FrameBoundary { boundary: Some(boundary) })
    }
}
