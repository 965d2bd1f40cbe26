//! Every URN and constant of the Beam model that Dataflume uses, declared once.
//!
//! Modules are named after the enums that carry them in Beam's protos.

/// `BeamConstants.Constants`.
pub mod constants {
    /// `BeamConstants.Constants.MIN_TIMESTAMP_MILLIS`.
    pub const MIN_TIMESTAMP_MILLIS: &str = "-9223372036854775";
    /// `BeamConstants.Constants.MAX_TIMESTAMP_MILLIS`.
    pub const MAX_TIMESTAMP_MILLIS: &str = "9223372036854775";
    /// `BeamConstants.Constants.GLOBAL_WINDOW_MAX_TIMESTAMP_MILLIS`.
    pub const GLOBAL_WINDOW_MAX_TIMESTAMP_MILLIS: &str = "9223371950454775";
}

/// `StandardArtifacts.Types`.
pub mod types {
    /// `StandardArtifacts.Types.FILE`.
    pub const FILE: &str = "beam:artifact:type:file:v1";
    /// `StandardArtifacts.Types.URL`.
    pub const URL: &str = "beam:artifact:type:url:v1";
    /// `StandardArtifacts.Types.EMBEDDED`.
    pub const EMBEDDED: &str = "beam:artifact:type:embedded:v1";
    /// `StandardArtifacts.Types.PYPI`.
    pub const PYPI: &str = "beam:artifact:type:pypi:v1";
    /// `StandardArtifacts.Types.MAVEN`.
    pub const MAVEN: &str = "beam:artifact:type:maven:v1";
    /// `StandardArtifacts.Types.DEFERRED`.
    pub const DEFERRED: &str = "beam:artifact:type:deferred:v1";
}

/// `StandardArtifacts.Roles`.
pub mod roles {
    /// `StandardArtifacts.Roles.STAGING_TO`.
    pub const STAGING_TO: &str = "beam:artifact:role:staging_to:v1";
    /// `StandardArtifacts.Roles.PIP_REQUIREMENTS_FILE`.
    pub const PIP_REQUIREMENTS_FILE: &str = "beam:artifact:role:pip_requirements_file:v1";
    /// `StandardArtifacts.Roles.GO_WORKER_BINARY`.
    pub const GO_WORKER_BINARY: &str = "beam:artifact:role:go_worker_binary:v1";
}

/// `StandardCoders.Enum`.
pub mod standard_coders {
    /// `StandardCoders.Enum.BYTES`.
    pub const BYTES: &str = "beam:coder:bytes:v1";
    /// `StandardCoders.Enum.STRING_UTF8`.
    pub const STRING_UTF8: &str = "beam:coder:string_utf8:v1";
    /// `StandardCoders.Enum.KV`.
    pub const KV: &str = "beam:coder:kv:v1";
    /// `StandardCoders.Enum.BOOL`.
    pub const BOOL: &str = "beam:coder:bool:v1";
    /// `StandardCoders.Enum.VARINT`.
    pub const VARINT: &str = "beam:coder:varint:v1";
    /// `StandardCoders.Enum.DOUBLE`.
    pub const DOUBLE: &str = "beam:coder:double:v1";
    /// `StandardCoders.Enum.ITERABLE`.
    pub const ITERABLE: &str = "beam:coder:iterable:v1";
    /// `StandardCoders.Enum.TIMER`.
    pub const TIMER: &str = "beam:coder:timer:v1";
    /// `StandardCoders.Enum.INTERVAL_WINDOW`.
    pub const INTERVAL_WINDOW: &str = "beam:coder:interval_window:v1";
    /// `StandardCoders.Enum.LENGTH_PREFIX`.
    pub const LENGTH_PREFIX: &str = "beam:coder:length_prefix:v1";
    /// `StandardCoders.Enum.GLOBAL_WINDOW`.
    pub const GLOBAL_WINDOW: &str = "beam:coder:global_window:v1";
    /// `StandardCoders.Enum.WINDOWED_VALUE`.
    pub const WINDOWED_VALUE: &str = "beam:coder:windowed_value:v1";
    /// `StandardCoders.Enum.PARAM_WINDOWED_VALUE`.
    pub const PARAM_WINDOWED_VALUE: &str = "beam:coder:param_windowed_value:v1";
    /// `StandardCoders.Enum.STATE_BACKED_ITERABLE`.
    pub const STATE_BACKED_ITERABLE: &str = "beam:coder:state_backed_iterable:v1";
    /// `StandardCoders.Enum.CUSTOM_WINDOW`.
    pub const CUSTOM_WINDOW: &str = "beam:coder:custom_window:v1";
    /// `StandardCoders.Enum.ROW`.
    pub const ROW: &str = "beam:coder:row:v1";
    /// `StandardCoders.Enum.SCHEMA`.
    pub const SCHEMA: &str = "beam:coder:schema:v1";
    /// `StandardCoders.Enum.SHARDED_KEY`.
    pub const SHARDED_KEY: &str = "beam:coder:sharded_key:v1";
    /// `StandardCoders.Enum.NULLABLE`.
    pub const NULLABLE: &str = "beam:coder:nullable:v1";
}

/// `StandardDisplayData.DisplayData`.
pub mod display_data {
    /// `StandardDisplayData.DisplayData.LABELLED`.
    pub const LABELLED: &str = "beam:display_data:labelled:v1";
}

/// `StandardEnvironments.Environments`.
pub mod environments {
    /// `StandardEnvironments.Environments.DOCKER`.
    pub const DOCKER: &str = "beam:env:docker:v1";
    /// `StandardEnvironments.Environments.PROCESS`.
    pub const PROCESS: &str = "beam:env:process:v1";
    /// `StandardEnvironments.Environments.EXTERNAL`.
    pub const EXTERNAL: &str = "beam:env:external:v1";
    /// `StandardEnvironments.Environments.DEFAULT`.
    pub const DEFAULT: &str = "beam:env:default:v1";
    /// `StandardEnvironments.Environments.ANYOF`.
    pub const ANYOF: &str = "beam:env:anyof:v1";
}

/// `StandardPTransforms.Primitives`.
pub mod primitives {
    /// `StandardPTransforms.Primitives.PAR_DO`.
    pub const PAR_DO: &str = "beam:transform:pardo:v1";
    /// `StandardPTransforms.Primitives.FLATTEN`.
    pub const FLATTEN: &str = "beam:transform:flatten:v1";
    /// `StandardPTransforms.Primitives.GROUP_BY_KEY`.
    pub const GROUP_BY_KEY: &str = "beam:transform:group_by_key:v1";
    /// `StandardPTransforms.Primitives.IMPULSE`.
    pub const IMPULSE: &str = "beam:transform:impulse:v1";
    /// `StandardPTransforms.Primitives.ASSIGN_WINDOWS`.
    pub const ASSIGN_WINDOWS: &str = "beam:transform:window_into:v1";
    /// `StandardPTransforms.Primitives.TEST_STREAM`.
    pub const TEST_STREAM: &str = "beam:transform:teststream:v1";
    /// `StandardPTransforms.Primitives.MAP_WINDOWS`.
    pub const MAP_WINDOWS: &str = "beam:transform:map_windows:v1";
    /// `StandardPTransforms.Primitives.MERGE_WINDOWS`.
    pub const MERGE_WINDOWS: &str = "beam:transform:merge_windows:v1";
    /// `StandardPTransforms.Primitives.TO_STRING`.
    pub const TO_STRING: &str = "beam:transform:to_string:v1";
}

/// `StandardPTransforms.DeprecatedPrimitives`.
pub mod deprecated_primitives {
    /// `StandardPTransforms.DeprecatedPrimitives.READ`.
    pub const READ: &str = "beam:transform:read:v1";
    /// `StandardPTransforms.DeprecatedPrimitives.CREATE_VIEW`.
    pub const CREATE_VIEW: &str = "beam:transform:create_view:v1";
}

/// `StandardPTransforms.Composites`.
pub mod composites {
    /// `StandardPTransforms.Composites.COMBINE_PER_KEY`.
    pub const COMBINE_PER_KEY: &str = "beam:transform:combine_per_key:v1";
    /// `StandardPTransforms.Composites.COMBINE_GLOBALLY`.
    pub const COMBINE_GLOBALLY: &str = "beam:transform:combine_globally:v1";
    /// `StandardPTransforms.Composites.RESHUFFLE`.
    pub const RESHUFFLE: &str = "beam:transform:reshuffle:v1";
    /// `StandardPTransforms.Composites.WRITE_FILES`.
    pub const WRITE_FILES: &str = "beam:transform:write_files:v1";
    /// `StandardPTransforms.Composites.PUBSUB_READ`.
    pub const PUBSUB_READ: &str = "beam:transform:pubsub_read:v1";
    /// `StandardPTransforms.Composites.PUBSUB_WRITE`.
    pub const PUBSUB_WRITE: &str = "beam:transform:pubsub_write:v1";
    /// `StandardPTransforms.Composites.PUBSUB_WRITE_V2`.
    pub const PUBSUB_WRITE_V2: &str = "beam:transform:pubsub_write:v2";
    /// `StandardPTransforms.Composites.GROUP_INTO_BATCHES_WITH_SHARDED_KEY`.
    pub const GROUP_INTO_BATCHES_WITH_SHARDED_KEY: &str =
        "beam:transform:group_into_batches_with_sharded_key:v1";
    /// `StandardPTransforms.Composites.REDISTRIBUTE_BY_KEY`.
    pub const REDISTRIBUTE_BY_KEY: &str = "beam:transform:redistribute_by_key:v1";
    /// `StandardPTransforms.Composites.REDISTRIBUTE_ARBITRARILY`.
    pub const REDISTRIBUTE_ARBITRARILY: &str = "beam:transform:redistribute_arbitrarily:v1";
}

/// `StandardPTransforms.CombineComponents`.
pub mod combine_components {
    /// `StandardPTransforms.CombineComponents.COMBINE_PER_KEY_PRECOMBINE`.
    pub const COMBINE_PER_KEY_PRECOMBINE: &str = "beam:transform:combine_per_key_precombine:v1";
    /// `StandardPTransforms.CombineComponents.COMBINE_PER_KEY_MERGE_ACCUMULATORS`.
    pub const COMBINE_PER_KEY_MERGE_ACCUMULATORS: &str =
        "beam:transform:combine_per_key_merge_accumulators:v1";
    /// `StandardPTransforms.CombineComponents.COMBINE_PER_KEY_EXTRACT_OUTPUTS`.
    pub const COMBINE_PER_KEY_EXTRACT_OUTPUTS: &str =
        "beam:transform:combine_per_key_extract_outputs:v1";
    /// `StandardPTransforms.CombineComponents.COMBINE_GROUPED_VALUES`.
    pub const COMBINE_GROUPED_VALUES: &str = "beam:transform:combine_grouped_values:v1";
    /// `StandardPTransforms.CombineComponents.COMBINE_PER_KEY_CONVERT_TO_ACCUMULATORS`.
    pub const COMBINE_PER_KEY_CONVERT_TO_ACCUMULATORS: &str =
        "beam:transform:combine_per_key_convert_to_accumulators:v1";
}

/// `StandardPTransforms.SplittableParDoComponents`.
pub mod splittable_par_do_components {
    /// `StandardPTransforms.SplittableParDoComponents.PAIR_WITH_RESTRICTION`.
    pub const PAIR_WITH_RESTRICTION: &str = "beam:transform:sdf_pair_with_restriction:v1";
    /// `StandardPTransforms.SplittableParDoComponents.SPLIT_AND_SIZE_RESTRICTIONS`.
    pub const SPLIT_AND_SIZE_RESTRICTIONS: &str =
        "beam:transform:sdf_split_and_size_restrictions:v1";
    /// `StandardPTransforms.SplittableParDoComponents.PROCESS_SIZED_ELEMENTS_AND_RESTRICTIONS`.
    pub const PROCESS_SIZED_ELEMENTS_AND_RESTRICTIONS: &str =
        "beam:transform:sdf_process_sized_element_and_restrictions:v1";
    /// `StandardPTransforms.SplittableParDoComponents.TRUNCATE_SIZED_RESTRICTION`.
    pub const TRUNCATE_SIZED_RESTRICTION: &str =
        "beam:transform:sdf_truncate_sized_restrictions:v1";
}

/// `StandardPTransforms.GroupIntoBatchesComponents`.
pub mod group_into_batches_components {
    /// `StandardPTransforms.GroupIntoBatchesComponents.GROUP_INTO_BATCHES`.
    pub const GROUP_INTO_BATCHES: &str = "beam:transform:group_into_batches:v1";
}

/// `StandardProtocols.Enum`.
pub mod standard_protocols {
    /// `StandardProtocols.Enum.LEGACY_PROGRESS_REPORTING`.
    pub const LEGACY_PROGRESS_REPORTING: &str = "beam:protocol:progress_reporting:v0";
    /// `StandardProtocols.Enum.PROGRESS_REPORTING`.
    pub const PROGRESS_REPORTING: &str = "beam:protocol:progress_reporting:v1";
    /// `StandardProtocols.Enum.WORKER_STATUS`.
    pub const WORKER_STATUS: &str = "beam:protocol:worker_status:v1";
    /// `StandardProtocols.Enum.MULTI_CORE_BUNDLE_PROCESSING`.
    pub const MULTI_CORE_BUNDLE_PROCESSING: &str = "beam:protocol:multi_core_bundle_processing:v1";
    /// `StandardProtocols.Enum.SIBLING_WORKERS`.
    pub const SIBLING_WORKERS: &str = "beam:protocol:sibling_workers:v1";
    /// `StandardProtocols.Enum.HARNESS_MONITORING_INFOS`.
    pub const HARNESS_MONITORING_INFOS: &str = "beam:protocol:harness_monitoring_infos:v1";
    /// `StandardProtocols.Enum.CONTROL_REQUEST_ELEMENTS_EMBEDDING`.
    pub const CONTROL_REQUEST_ELEMENTS_EMBEDDING: &str =
        "beam:protocol:control_request_elements_embedding:v1";
    /// `StandardProtocols.Enum.STATE_CACHING`.
    pub const STATE_CACHING: &str = "beam:protocol:state_caching:v1";
    /// `StandardProtocols.Enum.DATA_SAMPLING`.
    pub const DATA_SAMPLING: &str = "beam:protocol:data_sampling:v1";
    /// `StandardProtocols.Enum.SDK_CONSUMING_RECEIVED_DATA`.
    pub const SDK_CONSUMING_RECEIVED_DATA: &str = "beam:protocol:sdk_consuming_received_data:v1";
    /// `StandardProtocols.Enum.ORDERED_LIST_STATE`.
    pub const ORDERED_LIST_STATE: &str = "beam:protocol:ordered_list_state:v1";
    /// `StandardProtocols.Enum.ELEMENT_METADATA`.
    pub const ELEMENT_METADATA: &str = "beam:protocol:element_metadata:v1";
    /// `StandardProtocols.Enum.MULTIMAP_STATE`.
    pub const MULTIMAP_STATE: &str = "beam:protocol:multimap_state:v1";
    /// `StandardProtocols.Enum.NAMED_DATA_STREAMS`.
    pub const NAMED_DATA_STREAMS: &str = "beam:protocol:named_data_streams:v1";
}

/// `StandardRequirements.Enum`.
pub mod standard_requirements {
    /// `StandardRequirements.Enum.REQUIRES_STATEFUL_PROCESSING`.
    pub const REQUIRES_STATEFUL_PROCESSING: &str = "beam:requirement:pardo:stateful:v1";
    /// `StandardRequirements.Enum.REQUIRES_BUNDLE_FINALIZATION`.
    pub const REQUIRES_BUNDLE_FINALIZATION: &str = "beam:requirement:pardo:finalization:v1";
    /// `StandardRequirements.Enum.REQUIRES_STABLE_INPUT`.
    pub const REQUIRES_STABLE_INPUT: &str = "beam:requirement:pardo:stable_input:v1";
    /// `StandardRequirements.Enum.REQUIRES_TIME_SORTED_INPUT`.
    pub const REQUIRES_TIME_SORTED_INPUT: &str = "beam:requirement:pardo:time_sorted_input:v1";
    /// `StandardRequirements.Enum.REQUIRES_SPLITTABLE_DOFN`.
    pub const REQUIRES_SPLITTABLE_DOFN: &str = "beam:requirement:pardo:splittable_dofn:v1";
    /// `StandardRequirements.Enum.REQUIRES_ON_WINDOW_EXPIRATION`.
    pub const REQUIRES_ON_WINDOW_EXPIRATION: &str =
        "beam:requirement:pardo:on_window_expiration:v1";
}

/// `StandardResourceHints.Enum`.
pub mod standard_resource_hints {
    /// `StandardResourceHints.Enum.ACCELERATOR`.
    pub const ACCELERATOR: &str = "beam:resources:accelerator:v1";
    /// `StandardResourceHints.Enum.MIN_RAM_BYTES`.
    pub const MIN_RAM_BYTES: &str = "beam:resources:min_ram_bytes:v1";
    /// `StandardResourceHints.Enum.CPU_COUNT`.
    pub const CPU_COUNT: &str = "beam:resources:cpu_count:v1";
    /// `StandardResourceHints.Enum.MAX_ACTIVE_BUNDLES_PER_WORKER`.
    pub const MAX_ACTIVE_BUNDLES_PER_WORKER: &str =
        "beam:resources:max_active_bundles_per_worker:v1";
}

/// `StandardRunnerProtocols.Enum`.
pub mod standard_runner_protocols {
    /// `StandardRunnerProtocols.Enum.MONITORING_INFO_SHORT_IDS`.
    pub const MONITORING_INFO_SHORT_IDS: &str = "beam:protocol:monitoring_info_short_ids:v1";
    /// `StandardRunnerProtocols.Enum.CONTROL_RESPONSE_ELEMENTS_EMBEDDING`.
    pub const CONTROL_RESPONSE_ELEMENTS_EMBEDDING: &str =
        "beam:protocol:control_response_elements_embedding:v1";
    /// `StandardRunnerProtocols.Enum.MULTIMAP_KEYS_VALUES_SIDE_INPUT`.
    pub const MULTIMAP_KEYS_VALUES_SIDE_INPUT: &str =
        "beam:protocol:multimap_keys_values_side_input:v1";
}

/// `StandardSideInputTypes.Enum`.
pub mod standard_side_input_types {
    /// `StandardSideInputTypes.Enum.ITERABLE`.
    pub const ITERABLE: &str = "beam:side_input:iterable:v1";
    /// `StandardSideInputTypes.Enum.MULTIMAP`.
    pub const MULTIMAP: &str = "beam:side_input:multimap:v1";
}

/// `StandardUserStateTypes.Enum`.
pub mod standard_user_state_types {
    /// `StandardUserStateTypes.Enum.BAG`.
    pub const BAG: &str = "beam:user_state:bag:v1";
    /// `StandardUserStateTypes.Enum.MULTIMAP`.
    pub const MULTIMAP: &str = "beam:user_state:multimap:v1";
    /// `StandardUserStateTypes.Enum.ORDERED_LIST`.
    pub const ORDERED_LIST: &str = "beam:user_state:ordered_list:v1";
}

/// `Annotations.Enum`.
pub mod annotations {
    /// `Annotations.Enum.CONFIG_ROW_KEY`.
    pub const CONFIG_ROW_KEY: &str = "config_row";
    /// `Annotations.Enum.CONFIG_ROW_SCHEMA_KEY`.
    pub const CONFIG_ROW_SCHEMA_KEY: &str = "config_row_schema";
    /// `Annotations.Enum.SCHEMATRANSFORM_URN_KEY`.
    pub const SCHEMATRANSFORM_URN_KEY: &str = "schematransform_urn";
    /// `Annotations.Enum.MANAGED_UNDERLYING_TRANSFORM_URN_KEY`.
    pub const MANAGED_UNDERLYING_TRANSFORM_URN_KEY: &str = "managed_underlying_transform_urn";
}

/// `ExpansionMethods.Enum`.
pub mod expansion_methods {
    /// `ExpansionMethods.Enum.JAVA_CLASS_LOOKUP`.
    pub const JAVA_CLASS_LOOKUP: &str = "beam:expansion:payload:java_class_lookup:v1";
    /// `ExpansionMethods.Enum.SCHEMA_TRANSFORM`.
    pub const SCHEMA_TRANSFORM: &str = "beam:expansion:payload:schematransform:v1";
}

/// `ManagedTransforms.Urns`.
pub mod urns {
    /// `ManagedTransforms.Urns.ICEBERG_READ`.
    pub const ICEBERG_READ: &str = "beam:schematransform:org.apache.beam:iceberg_read:v1";
    /// `ManagedTransforms.Urns.ICEBERG_WRITE`.
    pub const ICEBERG_WRITE: &str = "beam:schematransform:org.apache.beam:iceberg_write:v1";
    /// `ManagedTransforms.Urns.KAFKA_READ`.
    pub const KAFKA_READ: &str = "beam:schematransform:org.apache.beam:kafka_read:v1";
    /// `ManagedTransforms.Urns.KAFKA_WRITE`.
    pub const KAFKA_WRITE: &str = "beam:schematransform:org.apache.beam:kafka_write:v1";
    /// `ManagedTransforms.Urns.BIGQUERY_READ`.
    pub const BIGQUERY_READ: &str = "beam:schematransform:org.apache.beam:bigquery_storage_read:v1";
    /// `ManagedTransforms.Urns.BIGQUERY_WRITE`.
    pub const BIGQUERY_WRITE: &str = "beam:schematransform:org.apache.beam:bigquery_write:v1";
    /// `ManagedTransforms.Urns.ICEBERG_CDC_READ`.
    pub const ICEBERG_CDC_READ: &str = "beam:schematransform:org.apache.beam:iceberg_cdc_read:v1";
    /// `ManagedTransforms.Urns.POSTGRES_READ`.
    pub const POSTGRES_READ: &str = "beam:schematransform:org.apache.beam:postgres_read:v1";
    /// `ManagedTransforms.Urns.POSTGRES_WRITE`.
    pub const POSTGRES_WRITE: &str = "beam:schematransform:org.apache.beam:postgres_write:v1";
    /// `ManagedTransforms.Urns.MYSQL_READ`.
    pub const MYSQL_READ: &str = "beam:schematransform:org.apache.beam:mysql_read:v1";
    /// `ManagedTransforms.Urns.MYSQL_WRITE`.
    pub const MYSQL_WRITE: &str = "beam:schematransform:org.apache.beam:mysql_write:v1";
    /// `ManagedTransforms.Urns.SQL_SERVER_READ`.
    pub const SQL_SERVER_READ: &str = "beam:schematransform:org.apache.beam:sql_server_read:v1";
    /// `ManagedTransforms.Urns.SQL_SERVER_WRITE`.
    pub const SQL_SERVER_WRITE: &str = "beam:schematransform:org.apache.beam:sql_server_write:v1";
    /// `ManagedTransforms.Urns.DELTA_LAKE_READ`.
    pub const DELTA_LAKE_READ: &str = "beam:schematransform:org.apache.beam:delta_lake_read:v1";
    /// `ManagedTransforms.Urns.DELTA_LAKE_CDC_READ`.
    pub const DELTA_LAKE_CDC_READ: &str =
        "beam:schematransform:org.apache.beam:delta_lake_cdc_read:v1";
}

/// `LogicalTypes.Enum`.
pub mod logical_types {
    /// `LogicalTypes.Enum.PYTHON_CALLABLE`.
    pub const PYTHON_CALLABLE: &str = "beam:logical_type:python_callable:v1";
    /// `LogicalTypes.Enum.MICROS_INSTANT`.
    pub const MICROS_INSTANT: &str = "beam:logical_type:micros_instant:v1";
    /// `LogicalTypes.Enum.MILLIS_INSTANT`.
    pub const MILLIS_INSTANT: &str = "beam:logical_type:millis_instant:v1";
    /// `LogicalTypes.Enum.DECIMAL`.
    pub const DECIMAL: &str = "beam:logical_type:decimal:v1";
    /// `LogicalTypes.Enum.FIXED_BYTES`.
    pub const FIXED_BYTES: &str = "beam:logical_type:fixed_bytes:v1";
    /// `LogicalTypes.Enum.VAR_BYTES`.
    pub const VAR_BYTES: &str = "beam:logical_type:var_bytes:v1";
    /// `LogicalTypes.Enum.FIXED_CHAR`.
    pub const FIXED_CHAR: &str = "beam:logical_type:fixed_char:v1";
    /// `LogicalTypes.Enum.VAR_CHAR`.
    pub const VAR_CHAR: &str = "beam:logical_type:var_char:v1";
    /// `LogicalTypes.Enum.DATE`.
    pub const DATE: &str = "beam:logical_type:date:v1";
    /// `LogicalTypes.Enum.TIMESTAMP`.
    pub const TIMESTAMP: &str = "beam:logical_type:timestamp:v1";
}

/// `FixedWindowsPayload.Enum`.
pub mod fixed_windows_payload {
    /// `FixedWindowsPayload.Enum.PROPERTIES`.
    pub const PROPERTIES: &str = "beam:window_fn:fixed_windows:v1";
}

/// `GlobalWindowsPayload.Enum`.
pub mod global_windows_payload {
    /// `GlobalWindowsPayload.Enum.PROPERTIES`.
    pub const PROPERTIES: &str = "beam:window_fn:global_windows:v1";
}

/// `SessionWindowsPayload.Enum`.
pub mod session_windows_payload {
    /// `SessionWindowsPayload.Enum.PROPERTIES`.
    pub const PROPERTIES: &str = "beam:window_fn:session_windows:v1";
}

/// `SlidingWindowsPayload.Enum`.
pub mod sliding_windows_payload {
    /// `SlidingWindowsPayload.Enum.PROPERTIES`.
    pub const PROPERTIES: &str = "beam:window_fn:sliding_windows:v1";
}

/// `MonitoringInfoSpecs.Enum`.
pub mod monitoring_info_specs {
    /// `MonitoringInfoSpecs.Enum.USER_SUM_INT64`.
    pub const USER_SUM_INT64: &str = "beam:metric:user:sum_int64:v1";
    /// `MonitoringInfoSpecs.Enum.USER_SUM_DOUBLE`.
    pub const USER_SUM_DOUBLE: &str = "beam:metric:user:sum_double:v1";
    /// `MonitoringInfoSpecs.Enum.USER_DISTRIBUTION_INT64`.
    pub const USER_DISTRIBUTION_INT64: &str = "beam:metric:user:distribution_int64:v1";
    /// `MonitoringInfoSpecs.Enum.USER_DISTRIBUTION_DOUBLE`.
    pub const USER_DISTRIBUTION_DOUBLE: &str = "beam:metric:user:distribution_double:v1";
    /// `MonitoringInfoSpecs.Enum.USER_LATEST_INT64`.
    pub const USER_LATEST_INT64: &str = "beam:metric:user:latest_int64:v1";
    /// `MonitoringInfoSpecs.Enum.USER_LATEST_DOUBLE`.
    pub const USER_LATEST_DOUBLE: &str = "beam:metric:user:latest_double:v1";
    /// `MonitoringInfoSpecs.Enum.USER_TOP_N_INT64`.
    pub const USER_TOP_N_INT64: &str = "beam:metric:user:top_n_int64:v1";
    /// `MonitoringInfoSpecs.Enum.USER_TOP_N_DOUBLE`.
    pub const USER_TOP_N_DOUBLE: &str = "beam:metric:user:top_n_double:v1";
    /// `MonitoringInfoSpecs.Enum.USER_BOTTOM_N_INT64`.
    pub const USER_BOTTOM_N_INT64: &str = "beam:metric:user:bottom_n_int64:v1";
    /// `MonitoringInfoSpecs.Enum.USER_BOTTOM_N_DOUBLE`.
    pub const USER_BOTTOM_N_DOUBLE: &str = "beam:metric:user:bottom_n_double:v1";
    /// `MonitoringInfoSpecs.Enum.USER_SET_STRING`.
    pub const USER_SET_STRING: &str = "beam:metric:user:set_string:v1";
    /// `MonitoringInfoSpecs.Enum.USER_BOUNDED_TRIE`.
    pub const USER_BOUNDED_TRIE: &str = "beam:metric:user:bounded_trie:v1";
    /// `MonitoringInfoSpecs.Enum.ELEMENT_COUNT`.
    pub const ELEMENT_COUNT: &str = "beam:metric:element_count:v1";
    /// `MonitoringInfoSpecs.Enum.SAMPLED_BYTE_SIZE`.
    pub const SAMPLED_BYTE_SIZE: &str = "beam:metric:sampled_byte_size:v1";
    /// `MonitoringInfoSpecs.Enum.START_BUNDLE_MSECS`.
    pub const START_BUNDLE_MSECS: &str = "beam:metric:pardo_execution_time:start_bundle_msecs:v1";
    /// `MonitoringInfoSpecs.Enum.PROCESS_BUNDLE_MSECS`.
    pub const PROCESS_BUNDLE_MSECS: &str =
        "beam:metric:pardo_execution_time:process_bundle_msecs:v1";
    /// `MonitoringInfoSpecs.Enum.FINISH_BUNDLE_MSECS`.
    pub const FINISH_BUNDLE_MSECS: &str = "beam:metric:pardo_execution_time:finish_bundle_msecs:v1";
    /// `MonitoringInfoSpecs.Enum.TOTAL_MSECS`.
    pub const TOTAL_MSECS: &str = "beam:metric:ptransform_execution_time:total_msecs:v1";
    /// `MonitoringInfoSpecs.Enum.WORK_REMAINING`.
    pub const WORK_REMAINING: &str = "beam:metric:ptransform_progress:remaining:v1";
    /// `MonitoringInfoSpecs.Enum.WORK_COMPLETED`.
    pub const WORK_COMPLETED: &str = "beam:metric:ptransform_progress:completed:v1";
    /// `MonitoringInfoSpecs.Enum.DATA_CHANNEL_READ_INDEX`.
    pub const DATA_CHANNEL_READ_INDEX: &str = "beam:metric:data_channel:read_index:v1";
    /// `MonitoringInfoSpecs.Enum.API_REQUEST_COUNT`.
    pub const API_REQUEST_COUNT: &str = "beam:metric:io:api_request_count:v1";
    /// `MonitoringInfoSpecs.Enum.API_REQUEST_LATENCIES`.
    pub const API_REQUEST_LATENCIES: &str = "beam:metric:io:api_request_latencies:v1";
    /// `MonitoringInfoSpecs.Enum.USER_HISTOGRAM`.
    pub const USER_HISTOGRAM: &str = "beam:metric:user:histogram_int64:v1";
}

/// `MonitoringInfoTypeUrns.Enum`.
pub mod monitoring_info_type_urns {
    /// `MonitoringInfoTypeUrns.Enum.SUM_INT64_TYPE`.
    pub const SUM_INT64_TYPE: &str = "beam:metrics:sum_int64:v1";
    /// `MonitoringInfoTypeUrns.Enum.SUM_DOUBLE_TYPE`.
    pub const SUM_DOUBLE_TYPE: &str = "beam:metrics:sum_double:v1";
    /// `MonitoringInfoTypeUrns.Enum.DISTRIBUTION_INT64_TYPE`.
    pub const DISTRIBUTION_INT64_TYPE: &str = "beam:metrics:distribution_int64:v1";
    /// `MonitoringInfoTypeUrns.Enum.DISTRIBUTION_DOUBLE_TYPE`.
    pub const DISTRIBUTION_DOUBLE_TYPE: &str = "beam:metrics:distribution_double:v1";
    /// `MonitoringInfoTypeUrns.Enum.LATEST_INT64_TYPE`.
    pub const LATEST_INT64_TYPE: &str = "beam:metrics:latest_int64:v1";
    /// `MonitoringInfoTypeUrns.Enum.LATEST_DOUBLE_TYPE`.
    pub const LATEST_DOUBLE_TYPE: &str = "beam:metrics:latest_double:v1";
    /// `MonitoringInfoTypeUrns.Enum.TOP_N_INT64_TYPE`.
    pub const TOP_N_INT64_TYPE: &str = "beam:metrics:top_n_int64:v1";
    /// `MonitoringInfoTypeUrns.Enum.TOP_N_DOUBLE_TYPE`.
    pub const TOP_N_DOUBLE_TYPE: &str = "beam:metrics:top_n_double:v1";
    /// `MonitoringInfoTypeUrns.Enum.BOTTOM_N_INT64_TYPE`.
    pub const BOTTOM_N_INT64_TYPE: &str = "beam:metrics:bottom_n_int64:v1";
    /// `MonitoringInfoTypeUrns.Enum.BOTTOM_N_DOUBLE_TYPE`.
    pub const BOTTOM_N_DOUBLE_TYPE: &str = "beam:metrics:bottom_n_double:v1";
    /// `MonitoringInfoTypeUrns.Enum.PROGRESS_TYPE`.
    pub const PROGRESS_TYPE: &str = "beam:metrics:progress:v1";
    /// `MonitoringInfoTypeUrns.Enum.SET_STRING_TYPE`.
    pub const SET_STRING_TYPE: &str = "beam:metrics:set_string:v1";
    /// `MonitoringInfoTypeUrns.Enum.BOUNDED_TRIE_TYPE`.
    pub const BOUNDED_TRIE_TYPE: &str = "beam:metrics:bounded_trie:v1";
    /// `MonitoringInfoTypeUrns.Enum.HISTOGRAM`.
    pub const HISTOGRAM: &str = "beam:metrics:histogram_int64:v1";
}

/// `FnApiTransforms.Runner`.
pub mod runner {
    /// `FnApiTransforms.Runner.DATA_SOURCE`.
    pub const DATA_SOURCE: &str = "beam:runner:source:v1";
    /// `FnApiTransforms.Runner.DATA_SINK`.
    pub const DATA_SINK: &str = "beam:runner:sink:v1";
}

/// `CommitManifestResponse.Constants`.
pub mod commit_manifest_response {
    /// `CommitManifestResponse.Constants.NO_ARTIFACTS_STAGED_TOKEN`.
    pub const NO_ARTIFACTS_STAGED_TOKEN: &str = "__no_artifacts_staged__";
}
