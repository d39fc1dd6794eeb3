//! A running workload: connected, and waiting for what it is to do.

use super::sides::{Kind, Side, Sides};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

/// Names and figures.
pub type Figures = Vec<(String, f64)>;

/// One process.
pub struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What it told of its connecting.
    pub connecting: Figures,
}

impl Worker {
    /// Starts one in a directory, and waits until it has connected.
    pub fn start(sides: &Sides, side: &Side, directory: &Path) -> Self {
        let way = if side.kind == Kind::Libdfs { "dfs" } else { "posix" };
        let mut command = side.command(&sides.workload);
        let command = command.arg(way).arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the workload starts");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut worker = Self { child, orders, answers, connecting: Vec::new() };
        worker.connecting = worker.finish("connecting");
        worker
    }

    /// Has something done.
    pub fn ask(&mut self, order: &str) -> Figures {
        self.begin(order);
        self.finish(order)
    }

    /// Has something done that answers with one figure.
    pub fn figure(&mut self, order: &str) -> f64 {
        let figures = self.ask(order);
        assert!(figures.len() == 1, "{order}: {figures:?}");
        figures[0].1
    }

    /// Says what to do, and does not wait.
    pub fn begin(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("open until the end");
        writeln!(orders, "{order}").unwrap_or_else(|error| panic!("{order}: {error}"));
    }

    /// Waits until that is done.
    pub fn finish(&mut self, order: &str) -> Figures {
        let mut figures = Vec::new();
        loop {
            let mut line = String::new();
            let count = self.answers.read_line(&mut line).expect("the workload prints text");
            assert!(count > 0, "the workload ended in `{order}`");
            match line.trim_end() {
                "." => return figures,
                line => figures.push(parse(line)),
            }
        }
    }

    /// Ends it: how many nanoseconds that took.
    pub fn end(mut self) -> f64 {
        let start = Instant::now();
        drop(self.orders.take());
        let status = self.child.wait().expect("our own child");
        assert!(status.success(), "the workload: {status}");
        start.elapsed().as_nanos() as f64
    }
}

fn parse(line: &str) -> (String, f64) {
    let parsed = line.split_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    parsed.unwrap_or_else(|| panic!("the workload printed {line}"))
}
