"""Limits of AWS services, with their source, and the validators that hold names and sizes to them."""

#: "Role name length", AWS IAM quotas.
ROLE_NAME_LENGTH = 64
#: "Function name length", AWS Lambda API reference, CreateFunction.
FUNCTION_NAME_LENGTH = 64
#: "Amazon S3 general purpose bucket naming rules".
BUCKET_NAME_LENGTH = 63
#: QueueName of CreateQueue, Amazon SQS API reference.
QUEUE_NAME_LENGTH = 80
#: RuleName of CreateTopicRule, AWS IoT API reference; the characters are a-z, A-Z, 0-9 and _.
TOPIC_RULE_NAME_LENGTH = 128
#: Name of DatabaseInput, CreateDatabase, AWS Glue API reference; Amazon Athena takes a-z, 0-9 and _ of its characters.
GLUE_DATABASE_NAME_LENGTH = 255
#: DeliveryStreamName of CreateDeliveryStream, Amazon Data Firehose API reference.
DELIVERY_STREAM_NAME_LENGTH = 64
#: "Dynamic partitioning" needs 64 MiB at least, Amazon Data Firehose: "Buffering hints".
DYNAMIC_PARTITIONING_BUFFER_MEBIBYTES = 64
#: MessageRetentionPeriod of an Amazon SQS queue: 14 days at most.
QUEUE_RETENTION_SECONDS = 14 * 24 * 3600
#: "Configuring a queue to use with Lambda": the visibility timeout is to be six times the function's timeout.
VISIBILITY_TIMEOUTS_PER_FUNCTION_TIMEOUT = 6
#: "Configuring a queue to use with Lambda": maxReceiveCount is to be 5 at least.
RECEIVE_COUNT_BEFORE_DEAD_LETTER = 5
#: `bytes_scanned_cutoff_per_query` of pulumi-aws's `Workgroup`: 10 MiB at least. The API takes 10,000,000, the provider
#: does not.
ATHENA_SCAN_LIMIT_MINIMUM_BYTES = 10_485_760
#: "Timeout", AWS Lambda quotas, in seconds.
LAMBDA_TIMEOUT_SECONDS = 900
#: "Maximum component recipe size", AWS IoT Greengrass V2 quotas: 16 KB.
COMPONENT_RECIPE_BYTES = 16_000
#: RoleAlias of CreateRoleAlias, AWS IoT API reference.
ROLE_ALIAS_LENGTH = 128
#: StateMachine name of CreateStateMachine, AWS Step Functions API reference.
STATE_MACHINE_NAME_LENGTH = 80
#: "Maximum execution history size", AWS Step Functions quotas, in events.
EXECUTION_HISTORY_EVENTS = 25_000
#: TrainingJobName of CreateTrainingJob, Amazon SageMaker API reference; a UUID of 36 characters ends ours.
TRAINING_JOB_NAME_LENGTH = 63
#: ModelPackageGroupName of CreateModelPackageGroup, Amazon SageMaker API reference.
MODEL_PACKAGE_GROUP_NAME_LENGTH = 63
#: "Longest run time for a training job", Amazon SageMaker quotas, in seconds.
TRAINING_SECONDS = 432_000
#: HyperParameters of CreateTrainingJob, Amazon SageMaker API reference: entries, and characters of key and value.
HYPERPARAMETERS = 100
HYPERPARAMETER_NAME_LENGTH = 256
HYPERPARAMETER_VALUE_LENGTH = 2_500
#: TrainingImage of AlgorithmSpecification, CreateTrainingJob, Amazon SageMaker API reference.
TRAINING_IMAGE_LENGTH = 255
#: VolumeSizeInGB of CreateNotebookInstance, Amazon SageMaker API reference, least and most.
NOTEBOOK_VOLUME_GIBIBYTES = (5, 16_384)
#: SecurityGroupIds of CreateNotebookInstance, Amazon SageMaker API reference; the length of each, and of SubnetId.
NOTEBOOK_SECURITY_GROUPS = 5
NETWORK_ID_LENGTH = 32
#: ScheduleExpression of CreateSchedule, Amazon EventBridge Scheduler API reference.
SCHEDULE_EXPRESSION_LENGTH = 256
#: "Tag value length", AWS's tag naming limits; the shortest of all services.
TAG_VALUE_LENGTH = 256
#: Expiration of a lifecycle rule, Amazon S3 API reference: "must be a non-zero positive integer".
EXPIRATION_DAYS_MINIMUM = 1
#: MaximumConcurrency of ScalingConfig, CreateEventSourceMapping, AWS Lambda API reference: 2 to 1,000.
SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM = 2
#: retentionInDays of PutRetentionPolicy, Amazon CloudWatch Logs API reference.
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
#: PendingWindowInDays of ScheduleKeyDeletion, AWS KMS API reference: 7 days at least.
KEY_DELETION_DAYS_MINIMUM = 7
#: "Policy document size", AWS IoT Core quotas: 2,048 characters without white space.
IOT_POLICY_CHARACTERS = 2_048
#: "Subscriptions per connection", AWS IoT Core quotas; a nucleus opens another connection for more (`MqttClient` of
#: aws-greengrass-nucleus).
IOT_SUBSCRIPTIONS_PER_CONNECTION = 50
#: templateName of CreateProvisioningTemplate, AWS IoT API reference.
PROVISIONING_TEMPLATE_NAME_LENGTH = 36
#: "Environment variables", AWS Lambda quotas: 4 KB for all of a function together.
LAMBDA_ENVIRONMENT_BYTES = 4_096
#: "Amazon EC2 instance user data": 16 KB before it is encoded.
EC2_USER_DATA_BYTES = 16_384
#: Name of PutRule, Amazon EventBridge API reference.
EVENT_RULE_NAME_LENGTH = 64
#: NotebookInstanceName of CreateNotebookInstance, Amazon SageMaker API reference.
NOTEBOOK_INSTANCE_NAME_LENGTH = 63
#: maxReceiveCount of a redrive policy, Amazon SQS API reference, SetQueueAttributes.
RECEIVE_COUNT_MAXIMUM = 1_000
#: A whole MQTT packet: `IOTCORED_NETWORK_BUFFER_SIZE` of modules/iotcored/src/mqtt.c, aws-greengrass-lite 2.6.0.
LITE_MQTT_PACKET_BYTES = 5_000
#: Its copy of a deployment: `DEPLOYMENT_MEM_SIZE` of modules/ggdeploymentd/src/deployment_queue.c, the same release.
LITE_DEPLOYMENT_BYTES = 5_000
#: Objects and lists of a job: `response_scratch` of modules/ggdeploymentd/src/iot_jobs_listener.c, the same release.
LITE_JOB_OBJECT_BYTES = 4_096
#: A value that is no object, as JSON: `value_buffer` of modules/ggconfigd/src/db_corebus.c, the same release.
LITE_CONFIGURATION_VALUE_BYTES = 1_024
#: A component's grants for a service: `policy_mem` of modules/ggipcd/src/ipc_authz.c, the same release.
LITE_GRANT_BYTES = 4_096
#: An item of a list, and of an object, in lite's memory: `GgObject` and `GgKV` of include/gg/types.h on a 64-bit
#: machine, aws-greengrass-component-sdk.
LITE_LIST_ITEM_BYTES = 11
LITE_OBJECT_ITEM_BYTES = 21
#: "Maximum size of deployment document ... with large configuration support", AWS IoT Greengrass V2 quotas: 6 MB.
DEPLOYMENT_DOCUMENT_BYTES = 6_000_000
#: An instance type, as `m7i-flex.large` and `m7i.metal-24xl`: InstanceType of RunInstances, Amazon EC2 API reference.
INSTANCE_TYPE = r"^[a-z0-9]+(-[a-z0-9]+)*\.[a-z0-9]+(-[a-z0-9]+)*\Z"
#: The same of CreateTrainingJob and CreateNotebookInstance, Amazon SageMaker API reference.
ML_INSTANCE_TYPE = INSTANCE_TYPE.replace("^", r"^ml\.", 1)
