//! The differences between two sets of descriptors, one line each.

use std::collections::BTreeMap;
use std::fmt::Debug;

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto, ServiceDescriptorProto,
};

/// Services of these packages must be declared in full.
const WHOLE_PACKAGES: [&str; 2] = [
    "org.apache.beam.model.job_management.v1",
    "org.apache.beam.model.fn_execution.v1",
];
/// Not Beam's: they come with the compiler.
const NOT_OURS: &str = "google.protobuf";

/// Everything declared, by full name.
#[derive(Default)]
struct Index<'a> {
    /// With the syntax of the file, which decides about presence and packing.
    messages: BTreeMap<String, (&'a DescriptorProto, &'a str)>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
    /// With the package.
    services: BTreeMap<String, (&'a ServiceDescriptorProto, &'a str)>,
}

impl<'a> Index<'a> {
    fn of(set: &'a FileDescriptorSet) -> Self {
        let mut index = Self::default();
        for file in set.file.iter().filter(|file| file.package() != NOT_OURS) {
            let (package, syntax) = (file.package(), file.syntax());
            for message in &file.message_type {
                index.add(package, message, syntax);
            }
            for each in &file.enum_type {
                index
                    .enums
                    .insert(format!("{package}.{}", each.name()), each);
            }
            for service in &file.service {
                let name = format!("{package}.{}", service.name());
                index.services.insert(name, (service, package));
            }
        }
        index
    }

    fn add(&mut self, scope: &str, message: &'a DescriptorProto, syntax: &'a str) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested, syntax);
        }
        for each in &message.enum_type {
            self.enums.insert(format!("{name}.{}", each.name()), each);
        }
        self.messages.insert(name, (message, syntax));
    }
}

/// What is declared differently in ours, or lacks there.
pub(crate) fn differences(ours: &FileDescriptorSet, theirs: &FileDescriptorSet) -> Vec<String> {
    let (ours, theirs) = (Index::of(ours), Index::of(theirs));
    let mut found = Found(Vec::new());
    for (name, (message, syntax)) in &ours.messages {
        match theirs.messages.get(name) {
            None => found.add(format!("message {name} is not theirs")),
            Some((their, their_syntax)) => {
                found.compare(name, "syntax", syntax, their_syntax);
                found.message(name, message, their);
            }
        }
    }
    for (name, each) in &ours.enums {
        match theirs.enums.get(name) {
            None => found.add(format!("enum {name} is not theirs")),
            Some(their) => found.named(name, &values(each), &values(their)),
        }
    }
    for (name, (service, _)) in &ours.services {
        match theirs.services.get(name) {
            None => found.add(format!("service {name} is not theirs")),
            Some((their, _)) => found.named(name, &methods(service), &methods(their)),
        }
    }
    for (name, (_, package)) in &theirs.services {
        if WHOLE_PACKAGES.contains(package) && !ours.services.contains_key(name) {
            found.add(format!("service {name} is not ours"));
        }
    }
    found.0
}

struct Found(Vec<String>);

impl Found {
    fn add(&mut self, difference: String) {
        self.0.push(difference);
    }

    fn compare<T: PartialEq + Debug>(&mut self, name: &str, what: &str, ours: &T, theirs: &T) {
        if ours != theirs {
            self.add(format!("{name}: {what} is {ours:?}, theirs is {theirs:?}"));
        }
    }

    fn message(&mut self, name: &str, ours: &DescriptorProto, theirs: &DescriptorProto) {
        let map = |message: &DescriptorProto| {
            message
                .options
                .as_ref()
                .and_then(|options| options.map_entry)
                .unwrap_or_default()
        };
        self.compare(name, "being a map entry", &map(ours), &map(theirs));
        let ours: BTreeMap<_, _> = ours.field.iter().map(|f| field(ours, f)).collect();
        let theirs: BTreeMap<_, _> = theirs.field.iter().map(|f| field(theirs, f)).collect();
        self.named(name, &ours, &theirs);
    }

    /// Parts that are told apart by their names and must be there on both sides.
    fn named<T: PartialEq + Debug>(
        &mut self,
        name: &str,
        ours: &BTreeMap<String, T>,
        theirs: &BTreeMap<String, T>,
    ) {
        for (part, our) in ours {
            match theirs.get(part) {
                None => self.add(format!("{name}.{part} is not theirs: {our:?}")),
                Some(their) => self.compare(&format!("{name}.{part}"), "declared", our, their),
            }
        }
        for (part, their) in theirs {
            if !ours.contains_key(part) {
                self.add(format!("{name}.{part} is not ours: {their:?}"));
            }
        }
    }
}

/// All of a field that shows on the wire or in generated code.
#[derive(Debug, PartialEq)]
struct Field {
    number: i32,
    r#type: i32,
    type_name: String,
    label: i32,
    oneof: Option<String>,
    optional: bool,
    packed: Option<bool>,
}

fn field(message: &DescriptorProto, field: &FieldDescriptorProto) -> (String, Field) {
    let oneof = field
        .oneof_index
        .and_then(|index| usize::try_from(index).ok());
    let oneof = oneof.and_then(|index| message.oneof_decl.get(index));
    let declared = Field {
        number: field.number(),
        r#type: field.r#type() as i32,
        type_name: field.type_name().to_owned(),
        label: field.label() as i32,
        oneof: oneof.map(|oneof| oneof.name().to_owned()),
        optional: field.proto3_optional(),
        packed: field.options.as_ref().and_then(|options| options.packed),
    };
    (field.name().to_owned(), declared)
}

fn values(of: &EnumDescriptorProto) -> BTreeMap<String, i32> {
    of.value
        .iter()
        .map(|value| (value.name().to_owned(), value.number()))
        .collect()
}

/// All of a method that shows on the wire.
#[derive(Debug, PartialEq)]
struct Method {
    input: String,
    output: String,
    client_streaming: bool,
    server_streaming: bool,
}

fn methods(of: &ServiceDescriptorProto) -> BTreeMap<String, Method> {
    let method = |method: &MethodDescriptorProto| Method {
        input: method.input_type().to_owned(),
        output: method.output_type().to_owned(),
        client_streaming: method.client_streaming(),
        server_streaming: method.server_streaming(),
    };
    of.method
        .iter()
        .map(|each| (each.name().to_owned(), method(each)))
        .collect()
}
