//! The checkpoint directory: logs in Spark's formats, all durable bytes through one seam.
