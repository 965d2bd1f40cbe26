//! Beam's reference encodings: every example of `standard_coders.yaml` for a coder known here.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use dataflume_model::coder::{Coder, Row, RowField};
use dataflume_proto::pipeline::field_type::TypeInfo;
use dataflume_proto::pipeline::{AtomicType, FieldType, Schema};
use prost::Message;
use serde::Deserialize;
use serde_yaml_ng::Mapping;

#[derive(Deserialize)]
struct Section {
    coder: Spec,
    nested: Option<bool>,
    examples: Mapping,
}

#[derive(Deserialize)]
struct Spec {
    urn: String,
    payload: Option<String>,
    #[serde(default)]
    components: Vec<Spec>,
}

impl Spec {
    fn coder(&self) -> Result<Coder> {
        let component = |index: usize| -> Result<Box<Coder>> {
            let spec = self
                .components
                .get(index)
                .context("a component is missing")?;
            spec.coder().map(Box::new)
        };
        Ok(match self.urn.trim_start_matches("beam:coder:") {
            "bytes:v1" => Coder::Bytes,
            "string_utf8:v1" => Coder::StringUtf8,
            "bool:v1" => Coder::Bool,
            "varint:v1" => Coder::Varint,
            "double:v1" => Coder::Double,
            "global_window:v1" => Coder::GlobalWindow,
            "interval_window:v1" => Coder::IntervalWindow,
            "custom_window:v1" => Coder::CustomWindow(component(0)?),
            "kv:v1" => Coder::Kv(component(0)?, component(1)?),
            "iterable:v1" => Coder::Iterable(component(0)?),
            "state_backed_iterable:v1" => Coder::StateBackedIterable(component(0)?),
            "nullable:v1" => Coder::Nullable(component(0)?),
            "sharded_key:v1" => Coder::ShardedKey(component(0)?),
            "timer:v1" => Coder::Timer {
                key: component(0)?,
                window: component(1)?,
            },
            "windowed_value:v1" => Coder::WindowedValue {
                value: component(0)?,
                window: component(1)?,
            },
            "param_windowed_value:v1" => Coder::ParamWindowedValue {
                value: component(0)?,
                window: component(1)?,
                header: self.payload()?.into(),
            },
            "row:v1" => Coder::Row(row(&Schema::decode(self.payload()?.as_slice())?)?),
            other => bail!("coder {other} is not known to this test"),
        })
    }

    fn payload(&self) -> Result<Vec<u8>> {
        latin1(self.payload.as_deref().context("a payload is missing")?)
    }
}

fn row(schema: &Schema) -> Result<Row> {
    let fields = schema.fields.iter().zip(0..).map(|(field, index)| {
        let kind = field.r#type.as_ref().context("a field without a type")?;
        let position = if schema.encoding_positions_set {
            field.encoding_position
        } else {
            index
        };
        Ok(RowField {
            coder: of_type(kind)?,
            encoding_position: position.try_into()?,
        })
    });
    Ok(Row::new(fields.collect::<Result<_>>()?))
}

fn of_type(kind: &FieldType) -> Result<Coder> {
    let element = |kind: &Option<Box<FieldType>>| -> Result<Coder> {
        let kind = kind.as_ref().context("an element without a type")?;
        let coder = of_type(kind)?;
        Ok(if kind.nullable {
            Coder::Nullable(Box::new(coder))
        } else {
            coder
        })
    };
    Ok(match kind.type_info.as_ref().context("no type")? {
        TypeInfo::AtomicType(atomic) => match AtomicType::try_from(*atomic)? {
            AtomicType::Byte => Coder::FixedWidth(1),
            AtomicType::Int16 => Coder::FixedWidth(2),
            AtomicType::Float => Coder::FixedWidth(4),
            AtomicType::Int32 | AtomicType::Int64 => Coder::Varint,
            AtomicType::Double => Coder::Double,
            AtomicType::String => Coder::StringUtf8,
            AtomicType::Boolean => Coder::Bool,
            AtomicType::Bytes => Coder::Bytes,
            AtomicType::Unspecified => bail!("no atomic type"),
        },
        TypeInfo::ArrayType(array) => Coder::iterable(element(&array.element_type)?),
        TypeInfo::IterableType(array) => Coder::iterable(element(&array.element_type)?),
        TypeInfo::MapType(map) => Coder::Map(
            Box::new(element(&map.key_type)?),
            Box::new(element(&map.value_type)?),
        ),
        TypeInfo::RowType(nested) => Coder::Row(row(nested
            .schema
            .as_ref()
            .context("a row without a schema")?)?),
        TypeInfo::LogicalType(logical) => match logical.urn.as_str() {
            "beam:logical_type:millis_instant:v1" => Coder::FixedWidth(8),
            "beam:logical_type:decimal:v1" => Coder::Decimal,
            _ => element(&logical.representation)?,
        },
    })
}

/// The file writes bytes as the characters of the same numbers.
fn latin1(text: &str) -> Result<Vec<u8>> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).context("not a byte"))
        .collect()
}

fn reference() -> Result<String> {
    let wheel = std::env::var("DATAFLUME_BEAM_WHEEL").context(
        "set DATAFLUME_BEAM_WHEEL to the apache_beam folder of an installed apache-beam, \
         such as .../site-packages/apache_beam",
    )?;
    let path = PathBuf::from(wheel).join("portability/api/standard_coders.yaml");
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

#[test]
fn every_reference_encoding_is_skipped_exactly() -> Result<()> {
    let mut checked = 0;
    for document in serde_yaml_ng::Deserializer::from_str(&reference()?) {
        let section = Section::deserialize(document)?;
        let coder = section.coder.coder()?;
        for encoded in section.examples.keys() {
            let encoded = latin1(encoded.as_str().context("an encoding that is not text")?)?;
            let mut nested = Vec::new();
            if section.nested == Some(false) {
                coder.nest(&encoded, &mut nested)?;
            } else {
                nested = encoded;
            }
            check(&coder, &nested).with_context(|| format!("{coder}: {nested:x?}"))?;
            checked += 1;
        }
    }
    ensure!(checked > 90, "only {checked} examples were found");
    Ok(())
}

fn check(coder: &Coder, encoded: &[u8]) -> Result<()> {
    coder.check(encoded)?;
    // What follows is left alone.
    let mut followed = encoded.to_vec();
    followed.extend_from_slice(b"rest");
    let mut input = followed.as_slice();
    coder.skip(&mut input)?;
    ensure!(input == b"rest", "{} bytes are left", input.len());
    // No part of it is a whole value.
    for end in 0..encoded.len() {
        ensure!(
            coder.check(&encoded[..end]).is_err(),
            "{end} bytes were taken for a value"
        );
    }
    Ok(())
}
