package dataflume.conformance;

import java.util.Map;
import org.apache.beam.sdk.expansion.ExternalTransformRegistrar;
import org.apache.beam.sdk.extensions.sql.SqlTransform;
import org.apache.beam.sdk.transforms.ExternalTransformBuilder;
import org.apache.beam.sdk.transforms.PTransform;
import org.apache.beam.sdk.values.PCollection;
import org.apache.beam.sdk.values.PInput;
import org.apache.beam.sdk.values.Row;

/** Beam SQL under the name by which the Python SDK asks for it; Beam's own registrar is in no jar of the registry. */
public final class SqlTransforms implements ExternalTransformRegistrar {
  private static final String NAME = "beam:external:java:sql:v1";

  @Override
  public Map<String, ExternalTransformBuilder<?, ?, ?>> knownBuilderInstances() {
    return Map.of(NAME, new Builder());
  }

  /** What the SDK sends. */
  public static final class Query {
    private String query;
    private String ddl;

    public void setQuery(String query) {
      this.query = query;
    }

    /** There is one dialect left. */
    public void setDialect(String dialect) {}

    public void setDdl(String ddl) {
      this.ddl = ddl;
    }
  }

  private static final class Builder implements ExternalTransformBuilder<Query, PInput, PCollection<Row>> {
    @Override
    public PTransform<PInput, PCollection<Row>> buildExternal(Query wanted) {
      SqlTransform transform = SqlTransform.query(wanted.query);
      return wanted.ddl == null ? transform : transform.withDdlString(wanted.ddl);
    }
  }
}
