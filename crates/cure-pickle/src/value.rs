use std::fmt;

/// A value's place in the arena.
pub(crate) type Id = u32;

/// A value as the machine keeps it: children are places in the arena, so that sharing stays
/// sharing, a cycle is harmless, and dropping never recurses.
pub(crate) enum Node {
    None,
    Bool(bool),
    Int(i64),
    BigInt(Box<[u8]>),
    Float(f64),
    Bytes(Box<[u8]>),
    Str(Box<str>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Box<(String, String)>),
    Object(Box<ObjectNode>),
    Persistent(Id),
}

pub(crate) struct ObjectNode {
    pub(crate) callable: Id,
    pub(crate) args: Id,
    pub(crate) state: Option<Id>,
    pub(crate) elements: Vec<Id>,
    pub(crate) entries: Vec<(Id, Id)>,
}

/// What a pickle describes: a graph of values with one root.
pub struct Pickle {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Id,
}

impl Pickle {
    /// The value that Python's `pickle.load` would return.
    pub fn root(&self) -> Value<'_> {
        Value { nodes: &self.nodes, id: self.root }
    }

    /// Every value that the pickle made, whether or not the root reaches it.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Value<'_>> {
        (0..self.nodes.len() as Id).map(|id| Value { nodes: &self.nodes, id })
    }
}

impl fmt::Debug for Pickle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pickle({:?}, {} values)", self.root(), self.nodes.len())
    }
}

/// One value of a [`Pickle`]. Copying it is free; it borrows the pickle.
///
/// Values may be shared and may even contain themselves: a walk over a whole graph needs a limit
/// of its own.
#[derive(Clone, Copy)]
pub struct Value<'p> {
    nodes: &'p [Node],
    id: Id,
}

/// A value, opened up.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'p> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A longer integer: two's complement, least significant byte first.
    BigInt(&'p [u8]),
    /// A float.
    Float(f64),
    /// `bytes`, `bytearray`, or the string of Python 2.
    Bytes(&'p [u8]),
    /// A text.
    Str(&'p str),
    /// A list.
    List(Items<'p>),
    /// A tuple.
    Tuple(Items<'p>),
    /// A set or frozenset, in the file's order; repetitions are kept.
    Set(Items<'p>),
    /// A dictionary, in the file's order; any value can be a key.
    Dict(Entries<'p>),
    /// A name, `(module, name)`: never looked up, never called.
    Global(&'p str, &'p str),
    /// What Python would have made by a call.
    Object(Object<'p>),
    /// A reference to something stored outside the pickle.
    PersistentId(Value<'p>),
}

/// The values of a list, tuple or set.
#[derive(Clone, Copy)]
pub struct Items<'p> {
    nodes: &'p [Node],
    ids: &'p [Id],
}

impl<'p> Items<'p> {
    /// How many there are.
    pub fn len(self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.ids.is_empty()
    }

    /// The value at `index`.
    pub fn get(self, index: usize) -> Option<Value<'p>> {
        self.ids.get(index).map(|&id| Value { nodes: self.nodes, id })
    }

    /// All of them in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Value<'p>> {
        self.ids.iter().map(move |&id| Value { nodes: self.nodes, id })
    }
}

impl fmt::Debug for Items<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} items", self.len())
    }
}

/// The pairs of a dictionary.
#[derive(Clone, Copy)]
pub struct Entries<'p> {
    nodes: &'p [Node],
    ids: &'p [(Id, Id)],
}

impl<'p> Entries<'p> {
    /// How many there are.
    pub fn len(self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.ids.is_empty()
    }

    /// All of them, `(key, value)`, in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (Value<'p>, Value<'p>)> {
        let nodes = self.nodes;
        self.ids
            .iter()
            .map(move |&(key, value)| (Value { nodes, id: key }, Value { nodes, id: value }))
    }
}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} entries", self.len())
    }
}

/// The record of a call that was not made.
#[derive(Debug, Clone, Copy)]
pub struct Object<'p> {
    /// The module of what would have been called.
    pub module: &'p str,
    /// Its name within the module.
    pub name: &'p str,
    /// The arguments.
    pub args: Items<'p>,
    /// What would have been handed to `__setstate__`.
    pub state: Option<Value<'p>>,
    /// What would have been appended.
    pub elements: Items<'p>,
    /// What would have been set by key.
    pub entries: Entries<'p>,
}

impl<'p> Value<'p> {
    pub(crate) fn new(nodes: &'p [Node], id: Id) -> Self {
        Self { nodes, id }
    }

    /// The value, opened up.
    pub fn kind(self) -> Kind<'p> {
        let nodes = self.nodes;
        let items = |ids: &'p [Id]| Items { nodes, ids };
        match &nodes[self.id as usize] {
            Node::None => Kind::None,
            Node::Bool(value) => Kind::Bool(*value),
            Node::Int(value) => Kind::Int(*value),
            Node::BigInt(bytes) => Kind::BigInt(bytes),
            Node::Float(value) => Kind::Float(*value),
            Node::Bytes(bytes) => Kind::Bytes(bytes),
            Node::Str(text) => Kind::Str(text),
            Node::List(ids) => Kind::List(items(ids)),
            Node::Tuple(ids) => Kind::Tuple(items(ids)),
            Node::Set(ids) => Kind::Set(items(ids)),
            Node::Dict(ids) => Kind::Dict(Entries { nodes, ids }),
            Node::Global(global) => Kind::Global(&global.0, &global.1),
            Node::Persistent(id) => Kind::PersistentId(Value { nodes, id: *id }),
            Node::Object(object) => {
                // The machine made the callable a global and the arguments a tuple.
                let (module, name) = match &nodes[object.callable as usize] {
                    Node::Global(global) => (global.0.as_str(), global.1.as_str()),
                    _ => ("", ""),
                };
                let args = match &nodes[object.args as usize] {
                    Node::Tuple(ids) => items(ids),
                    _ => items(&[]),
                };
                Kind::Object(Object {
                    module,
                    name,
                    args,
                    state: object.state.map(|id| Value { nodes, id }),
                    elements: items(&object.elements),
                    entries: Entries { nodes, ids: &object.entries },
                })
            }
        }
    }

    /// The integer, if it is one (a `bool` is not).
    pub fn as_int(self) -> Option<i64> {
        if let Kind::Int(value) = self.kind() { Some(value) } else { None }
    }

    /// The text, if it is one, or the string of Python 2 where that is valid UTF-8.
    pub fn as_str(self) -> Option<&'p str> {
        match self.kind() {
            Kind::Str(text) => Some(text),
            Kind::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The values, if it is a list or a tuple.
    pub fn as_items(self) -> Option<Items<'p>> {
        match self.kind() {
            Kind::List(items) | Kind::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs, if it is a dictionary (plain, ordered, or with a default).
    pub fn as_dict(self) -> Option<Entries<'p>> {
        match self.kind() {
            Kind::Dict(entries) => Some(entries),
            Kind::Object(object)
                if object.module == "collections"
                    && matches!(object.name, "OrderedDict" | "defaultdict") =>
            {
                Some(object.entries)
            }
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(self) -> Option<Object<'p>> {
        if let Kind::Object(object) = self.kind() { Some(object) } else { None }
    }

    /// The value under a textual key of a dictionary; of several, the last, as in Python.
    pub fn get(self, key: &str) -> Option<Value<'p>> {
        let entries = self.as_dict()?;
        entries.iter().filter(|(name, _)| name.as_str() == Some(key)).last().map(|(_, value)| value)
    }

    /// A few words for an error message.
    pub fn describe(self) -> String {
        match self.kind() {
            Kind::None => "None".to_owned(),
            Kind::Bool(value) => format!("the bool {value}"),
            Kind::Int(value) => format!("the integer {value}"),
            Kind::BigInt(bytes) => format!("an integer of {} bytes", bytes.len()),
            Kind::Float(value) => format!("the float {value}"),
            Kind::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Kind::Str(text) => format!("the text {:?}", shortened(text)),
            Kind::List(items) => format!("a list of {}", items.len()),
            Kind::Tuple(items) => format!("a tuple of {}", items.len()),
            Kind::Set(items) => format!("a set of {}", items.len()),
            Kind::Dict(entries) => format!("a dictionary of {}", entries.len()),
            Kind::Global(module, name) => {
                format!("the name `{}.{}`", shortened(module), shortened(name))
            }
            Kind::Object(object) => {
                format!("an object `{}.{}`", shortened(object.module), shortened(object.name))
            }
            Kind::PersistentId(_) => "a reference out of the pickle".to_owned(),
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.describe())
    }
}

/// At most 60 characters of a text that came from a file.
pub(crate) fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(60).collect();
    if characters.next().is_some() { format!("{head}…") } else { head }
}
