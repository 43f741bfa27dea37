use std::collections::HashMap;

use crate::cursor::Cursor;
use crate::text;
use crate::value::{Id, Node, ObjectNode, Pickle, Value, shortened};
use crate::{PickleError, Result};

/// The names, `(module, name)`, that a pickle may mention.
pub type Allowed<'a> = &'a [(&'a str, &'a str)];

/// The most values in one pickle. A node takes 32 bytes: half a gigabyte at the limit, for a file
/// that is then itself at least 16 MB of instructions.
const MAX_VALUES: usize = 1 << 24;

/// Reads the pickle at the beginning of `bytes`; what follows it is ignored, as Python does.
///
/// # Errors
/// [`PickleError`]: a name that is not in `allowed`, a truncated or malformed pickle, or one of
/// more than 2²⁴ values.
pub fn read(bytes: &[u8], allowed: Allowed<'_>) -> Result<Pickle> {
    read_prefix(bytes, 0, allowed).map(|(pickle, _)| pickle)
}

/// Reads the pickle that begins at byte `at`, and says where it ends.
///
/// # Errors
/// As [`read`].
pub fn read_prefix(bytes: &[u8], at: usize, allowed: Allowed<'_>) -> Result<(Pickle, usize)> {
    let mut machine = Machine {
        cursor: Cursor::new(bytes, at),
        allowed,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        start: at,
    };
    let root = machine.run()?;
    Ok((Pickle { nodes: machine.nodes, root }, machine.cursor.at()))
}

/// The stack machine of Python's `pickle.py`, for which a call is a record of a call.
struct Machine<'a> {
    cursor: Cursor<'a>,
    allowed: Allowed<'a>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at which a `MARK` stands.
    marks: Vec<usize>,
    /// A map, not a vector: the index is the file's choice and can be anything.
    memo: HashMap<u64, Id>,
    /// Where the instruction in hand begins.
    start: usize,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id> {
        loop {
            self.start = self.cursor.at();
            let opcode = self.cursor.u8("an instruction")?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    /// One instruction. The letters are pickle's own (`pickletools.py` describes each).
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // Framing.
            0x80 => match self.cursor.u8("PROTO")? {
                0..=5 => Ok(()),
                version => self.malformed(format!("pickle protocol {version}; 0 to 5 are known")),
            },
            0x95 => {
                let length = self.cursor.u64("FRAME")?;
                let (at, left) = (self.cursor.at(), self.cursor.left());
                if length > left as u64 {
                    let what = "FRAME";
                    return Err(PickleError::Truncated { at, what, wanted: length, left });
                }
                Ok(())
            }

            // The stack.
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => {
                // As in Python, POP on a bare mark removes the mark.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    return Ok(());
                }
                self.pop().map(drop)
            }
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }

            // The memo.
            b'g' => {
                let index = self.decimal("GET")?;
                self.recall(index)
            }
            b'h' => {
                let index = self.cursor.u8("BINGET")?.into();
                self.recall(index)
            }
            b'j' => {
                let index = self.cursor.u32("LONG_BINGET")?.into();
                self.recall(index)
            }
            b'p' => {
                let index = self.decimal("PUT")?;
                self.remember(index)
            }
            b'q' => {
                let index = self.cursor.u8("BINPUT")?.into();
                self.remember(index)
            }
            b'r' => {
                let index = self.cursor.u32("LONG_BINPUT")?.into();
                self.remember(index)
            }
            0x94 => self.remember(self.memo.len() as u64),

            // Plain values.
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'J' => {
                let value = self.cursor.i32("BININT")?;
                self.push(Node::Int(value.into()))
            }
            b'K' => {
                let value = self.cursor.u8("BININT1")?;
                self.push(Node::Int(value.into()))
            }
            b'M' => {
                let value = self.cursor.u16("BININT2")?;
                self.push(Node::Int(value.into()))
            }
            b'I' => match self.cursor.line("INT")? {
                b"00" => self.push(Node::Bool(false)),
                b"01" => self.push(Node::Bool(true)),
                digits => self.push_decimal(digits),
            },
            b'L' => {
                let digits = self.cursor.line("LONG")?;
                self.push_decimal(digits.strip_suffix(b"L").unwrap_or(digits))
            }
            0x8a => {
                let length = self.cursor.u8("LONG1")?.into();
                self.push_long(length)
            }
            0x8b => {
                let length = self.cursor.u32("LONG4")?.into();
                self.push_long(length)
            }
            b'F' => {
                let line = self.cursor.line("FLOAT")?;
                let parsed =
                    std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok());
                match parsed {
                    Some(value) => self.push(Node::Float(value)),
                    None => self.malformed("FLOAT holds no number".to_owned()),
                }
            }
            b'G' => {
                let value = f64::from_be_bytes(self.cursor.array("BINFLOAT")?);
                self.push(Node::Float(value))
            }

            // Strings and bytes.
            b'S' => match text::unquote(self.cursor.line("STRING")?) {
                Some(bytes) => self.push(Node::Bytes(bytes.into())),
                None => self.malformed("STRING is not a quoted literal".to_owned()),
            },
            b'V' => match text::raw_unicode(self.cursor.line("UNICODE")?) {
                Some(text) => self.push(Node::Str(text.into())),
                None => self.malformed("UNICODE is not raw-unicode-escape".to_owned()),
            },
            b'T' | b'B' => {
                let length = self.cursor.u32("a byte string")?.into();
                self.push_bytes(length)
            }
            b'U' | b'C' => {
                let length = self.cursor.u8("a byte string")?.into();
                self.push_bytes(length)
            }
            0x8e | 0x96 => {
                let length = self.cursor.u64("a byte string")?;
                self.push_bytes(length)
            }
            b'X' => {
                let length = self.cursor.u32("a text")?.into();
                self.push_text(length)
            }
            0x8c => {
                let length = self.cursor.u8("a text")?.into();
                self.push_text(length)
            }
            0x8d => {
                let length = self.cursor.u64("a text")?;
                self.push_text(length)
            }

            // Containers.
            b']' => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            0x8f => self.push(Node::Set(Vec::new())),
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))
            }
            0x91 => {
                let items = self.pop_mark()?;
                self.push(Node::Set(items))
            }
            b'd' => {
                let pairs = self.pop_pairs()?;
                self.push(Node::Dict(pairs))
            }
            0x85..=0x87 => {
                let mut items = Vec::with_capacity(3);
                for _ in 0x85..=opcode {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Node::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend(items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(vec![(key, value)])
            }
            b'u' => {
                let pairs = self.pop_pairs()?;
                self.set_items(pairs)
            }

            // Names, and the calls that are only recorded.
            b'c' => {
                let global = self.global_lines()?;
                self.push(global)
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let (Node::Str(module), Node::Str(name)) = (self.node(module), self.node(name))
                else {
                    return self.malformed("STACK_GLOBAL needs two texts".to_owned());
                };
                let global = self.global(module, name)?;
                self.push(global)
            }
            b'R' | 0x81 => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.push_object(callable, args)
            }
            0x92 => self.malformed("a call with keyword arguments".to_owned()),
            b'i' => {
                let global = self.global_lines()?;
                let args = self.pop_mark()?;
                let callable = self.add(global)?;
                let args = self.add(Node::Tuple(args))?;
                self.push_object(callable, args)
            }
            b'o' => {
                let mut args = self.pop_mark()?;
                if args.is_empty() {
                    return self.malformed("OBJ without a class".to_owned());
                }
                let callable = args.remove(0);
                let args = self.add(Node::Tuple(args))?;
                self.push_object(callable, args)
            }
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                match &mut self.nodes[object as usize] {
                    Node::Object(object) => {
                        object.state = Some(state);
                        Ok(())
                    }
                    _ => self.misplaced("BUILD", object),
                }
            }

            // References out of the pickle.
            b'P' => match std::str::from_utf8(self.cursor.line("PERSID")?) {
                Ok(text) => {
                    let id = self.add(Node::Str(text.into()))?;
                    self.push(Node::Persistent(id))
                }
                Err(_) => self.malformed("PERSID is not UTF-8".to_owned()),
            },
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))
            }

            0x82..=0x84 => {
                self.malformed("extension codes stand for names outside the file".to_owned())
            }
            0x97 | 0x98 => self.malformed("buffers kept outside the file".to_owned()),
            unknown => self.malformed(format!("unknown instruction {unknown:#04x}")),
        }
    }

    fn malformed<T>(&self, reason: String) -> Result<T> {
        Err(PickleError::Malformed { at: self.start, reason })
    }

    fn misplaced<T>(&self, instruction: &str, onto: Id) -> Result<T> {
        let found = Value::new(&self.nodes, onto).describe();
        self.malformed(format!("{instruction} onto {found}"))
    }

    fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    fn add(&mut self, node: Node) -> Result<Id> {
        if self.nodes.len() >= MAX_VALUES {
            return Err(PickleError::TooManyValues { limit: MAX_VALUES });
        }
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as Id)
    }

    fn push(&mut self, node: Node) -> Result<()> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    /// The uppermost value above the last mark.
    fn top(&self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => self.malformed("the stack is empty".to_owned()),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => self.malformed("no mark on the stack".to_owned()),
        }
    }

    fn pop_pairs(&mut self) -> Result<Vec<(Id, Id)>> {
        let items = self.pop_mark()?;
        if items.len() % 2 == 1 {
            return self.malformed("a dictionary with a key and no value".to_owned());
        }
        Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
    }

    fn recall(&mut self, index: u64) -> Result<()> {
        match self.memo.get(&index) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => self.malformed(format!("nothing was memoized under {index}")),
        }
    }

    fn remember(&mut self, index: u64) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(index, id);
        Ok(())
    }

    fn decimal(&mut self, what: &'static str) -> Result<u64> {
        let line = self.cursor.line(what)?;
        match std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok()) {
            Some(index) => Ok(index),
            None => self.malformed(format!("{what} without a number")),
        }
    }

    fn push_decimal(&mut self, digits: &[u8]) -> Result<()> {
        // 128 bits hold every decimal number that a format of ours contains (the magic number of
        // a checkpoint has 80).
        let parsed =
            std::str::from_utf8(digits).ok().and_then(|text| text.trim().parse::<i128>().ok());
        match parsed.map(|value| (i64::try_from(value), value)) {
            Some((Ok(value), _)) => self.push(Node::Int(value)),
            Some((Err(_), value)) => self.push(Node::BigInt(value.to_le_bytes().into())),
            None => self.malformed("not an integer of at most 128 bits".to_owned()),
        }
    }

    /// An integer in two's complement, least significant byte first.
    fn push_long(&mut self, length: u64) -> Result<()> {
        let bytes = self.cursor.take(length, "an integer")?;
        if bytes.len() > 8 {
            return self.push(Node::BigInt(bytes.into()));
        }
        let negative = bytes.last().is_some_and(|byte| byte >> 7 == 1);
        let mut extended = [if negative { 0xff } else { 0 }; 8];
        extended[..bytes.len()].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(extended)))
    }

    fn push_bytes(&mut self, length: u64) -> Result<()> {
        let bytes = self.cursor.take(length, "a byte string")?;
        self.push(Node::Bytes(bytes.into()))
    }

    fn push_text(&mut self, length: u64) -> Result<()> {
        match std::str::from_utf8(self.cursor.take(length, "a text")?) {
            Ok(text) => self.push(Node::Str(text.into())),
            Err(_) => self.malformed("a text that is not UTF-8".to_owned()),
        }
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<()> {
        let onto = self.top()?;
        match &mut self.nodes[onto as usize] {
            Node::List(list) | Node::Set(list) => list.extend(items),
            Node::Object(object) => object.elements.extend(items),
            _ => return self.misplaced("APPEND", onto),
        }
        Ok(())
    }

    fn set_items(&mut self, pairs: Vec<(Id, Id)>) -> Result<()> {
        let onto = self.top()?;
        match &mut self.nodes[onto as usize] {
            Node::Dict(entries) => entries.extend(pairs),
            Node::Object(object) => object.entries.extend(pairs),
            _ => return self.misplaced("SETITEM", onto),
        }
        Ok(())
    }

    fn global_lines(&mut self) -> Result<Node> {
        let module = self.cursor.line("a module's name")?;
        let name = self.cursor.line("a name")?;
        match (std::str::from_utf8(module), std::str::from_utf8(name)) {
            (Ok(module), Ok(name)) => self.global(module, name),
            _ => self.malformed("a name that is not UTF-8".to_owned()),
        }
    }

    /// The gate: a name comes into being here or not at all.
    fn global(&self, module: &str, name: &str) -> Result<Node> {
        if self.allowed.contains(&(module, name)) {
            return Ok(Node::Global(Box::new((module.to_owned(), name.to_owned()))));
        }
        Err(PickleError::Refused { module: shortened(module), name: shortened(name) })
    }

    fn push_object(&mut self, callable: Id, args: Id) -> Result<()> {
        if !matches!(self.node(callable), Node::Global(_)) {
            return self.misplaced("a call", callable);
        }
        if !matches!(self.node(args), Node::Tuple(_)) {
            return self.malformed("a call whose arguments are no tuple".to_owned());
        }
        let (state, elements, entries) = (None, Vec::new(), Vec::new());
        self.push(Node::Object(Box::new(ObjectNode { callable, args, state, elements, entries })))
    }
}
