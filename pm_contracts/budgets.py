"""The budgets of every buffer and process on a core device, in bytes: whatever comes, none grows beyond its own.

A count of messages bounds nothing: a message has 200 bytes or 128 KB. So each buffer is bounded by the bytes in it,
each file by its size with what SQLite keeps beside it, and each process by its resident memory: what its buffers hold
at their fullest, twice over for copies under way, and what the interpreter and its libraries take.
"""

from pm_contracts.messages import MAXIMUM_MESSAGE_BYTES

MEBIBYTE = 1024 * 1024

# A connection to AWS IoT Core.

#: "Publish requests per second per connection", AWS IoT Core message broker and protocol limits.
CONNECTION_PUBLISHES_PER_SECOND = 100
#: "Throughput per second per connection", 512 kilobytes, of the same.
CONNECTION_BYTES_PER_SECOND = 512_000

# What one device may take of it.

#: A tenth of the connection: nine others get through beside one that never stops.
DEVICE_PUBLISHES_PER_SECOND = CONNECTION_PUBLISHES_PER_SECOND / 10
DEVICE_BYTES_PER_SECOND = CONNECTION_BYTES_PER_SECOND / 10
#: Seconds of it that a device has saved up when it was silent: a burst after an hour's gap is no fault.
DEVICE_BURST_SECONDS = 60

# The uplink.

#: Messages taken from the bus that are not in the outbox yet; past it the bus is held back.
INBOX_BYTES = 8 * MEBIBYTE
#: One transaction, so that the log of SQLite stays small, and one message more is never many.
BATCH_BYTES = 4 * MEBIBYTE
#: The journal on the disk: the inbox, and the batch that is being written.
JOURNAL_BYTES = INBOX_BYTES + 2 * BATCH_BYTES
#: The write-ahead log beside an SQLite file: 1,000 pages until it is copied back, and one transaction beyond.
WAL_BYTES = 16 * MEBIBYTE
#: Messages that wait in memory while the disk takes no more.
OUTBOX_MEMORY_BYTES = 64 * MEBIBYTE
#: In the outbox's file beside what `outboxMebibytes` allows: the ids that it knows, and the rows of a transaction,
#: which come before the oldest go.
OUTBOX_BESIDE_BYTES = 16 * MEBIBYTE + 2 * BATCH_BYTES
#: Damaged files that are kept aside of each.
DAMAGED_FILES = 3
#: Part of the outbox that dead letters take at most: they may fill what nobody else needs, and this much is plenty.
OUTBOX_DEAD_LETTERS_SHARE = 1 / 8
#: The dead letters kept on the device, with the log beside the file.
DEAD_LETTER_STORE_BYTES = 64 * MEBIBYTE
#: Messages under way to the cloud: a second of the connection's pace, and an alert waits for no more than that.
FLIGHT_BYTES = {"aws": CONNECTION_BYTES_PER_SECOND, "none": 2 * MEBIBYTE}
#: Dead letters of one topic that go to the cloud each for itself in one period; what follows is summed up in one.
DEAD_LETTERS_OF_A_TOPIC = 10
DEAD_LETTER_PERIOD_SECONDS = 60.0
#: Of a dead letter that is only a sample: of a message larger than may be, or of many that are summed up.
SAMPLE_BYTES = 8 * 1024
#: Topics whose repeated refusals are summed up apart; all others share one sum.
SUMMED_TOPICS = 500
#: A status, several times what the largest of our components has; a larger one is refused.
STATUS_BYTES = 16 * 1024
#: Components of the plant's own whose latest status is kept beside those of ours; one that has been silent for so many
#: seconds makes room for another.
STATUS_NAMES = 64
STATUS_FORGOTTEN_SECONDS = 600.0
#: Commands of the cloud that are not passed on yet; past either, one is refused.
COMMANDS = 100
COMMANDS_BYTES = MEBIBYTE

# A model.

#: Memory for loading a model and for its answers, beside copies of its file: the file, what is read of it, the weights,
#: and the weights in the order in which they are multiplied.
MODEL_BYTES = 64 * MEBIBYTE
MODEL_COPIES = 5

# State files of components with a model.

#: Written for state on average: a small one with each status, a large one as seldom as its size demands. Flash wears
#: out by it, and 13 MB every 2 s, as 1,000 stations have it, are half a terabyte a day.
STATE_BYTES_PER_SECOND = 256 * 1024
#: Readings since the last save, to be answered once more after a kill; past it the state is saved whatever its size.
STATE_JOURNAL_BYTES = 8 * MEBIBYTE

# The local bus.

#: Messages that come before the component has subscribed to them.
EARLY_BYTES = 8 * MEBIBYTE
#: Messages that wait for a callback of a component where the bus cannot be held back.
BUS_HELD_BYTES = 16 * MEBIBYTE
#: Publishes under way at once, of one component, and of one that publishes while it answers a message: to wait would be
#: to wait for itself.
BUS_WINDOW_BYTES = 8 * MEBIBYTE
BUS_CALLBACK_BYTES = 32 * MEBIBYTE
#: Statuses under way, which nobody waits for.
BUS_PASSING_BYTES = 8 * STATUS_BYTES
#: Topics whose callbacks, subscribers or routes are remembered: a site of 1,000 devices has some thousands.
REMEMBERED_TOPICS = 10_000
#: Messages that wait for one subscriber of the local broker; past it the oldest goes, or who does not take them.
BROKER_SESSION_BYTES = 16 * MEBIBYTE
#: Sessions of one broker, topic filters of one session, and characters of a topic or filter that is remembered. AWS
#: IoT Core takes a topic of 256 bytes, and 50 subscriptions a connection.
SESSIONS = 1_000
FILTERS = 100
TOPIC_CHARACTERS = 256
#: Of them, what is sent to it and not acknowledged yet, or a single message.
BROKER_FLIGHT_BYTES = MEBIBYTE
#: Answers that a client of the broker does not read, beside that.
BROKER_UNREAD_BYTES = 4 * MEBIBYTE
#: Messages that wait for all of them together.
BROKER_BYTES = 64 * MEBIBYTE
#: Messages that wait for one client device, and for all of them.
CLIENT_DEVICE_BYTES = 4 * MEBIBYTE
CLIENT_DEVICES_BYTES = 32 * MEBIBYTE
#: A packet of MQTT: the largest message, its topic and its head.
PACKET_BYTES = 2 * MAXIMUM_MESSAGE_BYTES

# Processes: resident memory.

LOCAL_BROKER = "local broker"
CLIENT_DEVICE_GATEWAY = "client-device gateway"
PROCESS_BYTES: dict[str, int] = {
    # 35 MiB of interpreter and libraries; inbox, batch and flight twice over, and the messages of a full disk.
    "pm.Uplink": 256 * MEBIBYTE,
    # 70 MiB without a model; ONNX Runtime, a model of the largest size, and the state of 1,000 stations.
    "pm.Forecaster": 512 * MEBIBYTE,
    "pm.ForecastChallenger": 512 * MEBIBYTE,
    "pm.FaultDetector": 512 * MEBIBYTE,
    # 50 MiB, and a file of readings line by line.
    "pm.Replayer": 192 * MEBIBYTE,
    "pm.DeviceSimulator": 192 * MEBIBYTE,
    # 27 MiB, and what waits; each message is held once for all its subscribers.
    LOCAL_BROKER: 192 * MEBIBYTE,
    CLIENT_DEVICE_GATEWAY: 128 * MEBIBYTE,
}
