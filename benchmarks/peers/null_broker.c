/* A broker that acknowledges and drops: what a producer can do when the broker costs next to nothing.
 *
 * in:   Kafka's protocol on 127.0.0.1: ApiVersions 0-4, Metadata 1-12, InitProducerId 0-5, Produce 3-13
 * out:  acknowledgements with offsets that grow; "127.0.0.1:PORT" on stdout; on stdin "counts TOPIC"
 *       asks for one line of JSON: what arrived there, counted from the headers of the batches
 * ends: when stdin ends, so it never outlives the program that started it
 *
 * A topic exists when Metadata asks for it; a name that ends in "-pN" has N partitions, any other has
 * one. Produce requests to topics whose name begins with "hold-" are counted and never answered: their
 * records stay in the client. Bytes of records are discarded inside the kernel (MSG_TRUNC), so neither
 * CRC nor contents are looked at; the header of each batch is.
 *
 * One thread per connection, blocking reads. Every length is checked against what is left of the frame
 * before it is used; a connection that sends anything else than these requests is closed.
 *
 *     gcc -O2 -pthread -o null_broker null_broker.c && ./null_broker
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FRAME_BYTES_MAX = 100 << 20, /* socket.request.max.bytes */
    READ_BYTES = 16 << 10,
    REPLY_BYTES_MAX = 16 << 20,
    CONNECTIONS_MAX = 256,
    TOPICS_MAX = 4096,
    PARTITIONS_MAX = 10000,        /* of a topic */
    PARTITIONS_ALL_MAX = 1000000,  /* of all topics */
    NAME_BYTES_MAX = 249,          /* Topic.MAX_NAME_LENGTH */
    TOPIC_ID_BYTES = 16,
    BATCH_HEADER_BYTES = 61,       /* DefaultRecordBatch.RECORD_BATCH_OVERHEAD */
    BATCH_LOG_OVERHEAD = 12,       /* base_offset and batch_length, which batch_length leaves out */
    NODE_ID = 1,
};
enum { PRODUCE = 0, FETCH = 1, METADATA = 3, FIND_COORDINATOR = 10, API_VERSIONS = 18, INIT_PRODUCER_ID = 22 };
enum {
    NONE = 0,
    CORRUPT_MESSAGE = 2,
    UNKNOWN_TOPIC_OR_PARTITION = 3,
    INVALID_TOPIC_EXCEPTION = 17,
    UNSUPPORTED_VERSION = 35,
    UNKNOWN_TOPIC_ID = 100,
};
static const struct {
    int16_t key, min, max, flexible;
} APIS[] = {{PRODUCE, 3, 13, 9}, {METADATA, 1, 12, 9}, {API_VERSIONS, 0, 4, 3}, {INIT_PRODUCER_ID, 0, 5, 2},
            /* Never served: librdkafka learns from them that batches of v2, lz4 and zstd are known. */
            {FETCH, 4, 12, 12}, {FIND_COORDINATOR, 0, 4, 3}};
#define API_COUNT (sizeof APIS / sizeof APIS[0])

static int listening_port;

/* --- topics and their counters */

struct topic {
    char name[NAME_BYTES_MAX + 1];
    int64_t requests, batches, bytes;
    int32_t partition_count;
    int64_t end_offsets[]; /* of each partition */
};
static struct topic *topics[TOPICS_MAX];
static int topic_count;
static int64_t partitions_all;
static pthread_mutex_t topics_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all of the above */

static int32_t partitions_of_name(const char *name) {
    const char *mark = strrchr(name, '-');
    if (mark == NULL || mark[1] != 'p')
        return 1;
    long count = strtol(mark + 2, NULL, 10);
    return count < 1 || count > PARTITIONS_MAX ? 1 : (int32_t)count;
}

static int topic_find(const char *name) { /* topics_lock held */
    for (int index = topic_count - 1; index >= 0; index--)
        if (strcmp(topics[index]->name, name) == 0)
            return index;
    return -1;
}

static int topic_find_or_add(const char *name) { /* topics_lock held */
    int index = topic_find(name);
    if (index >= 0)
        return index;
    int32_t partition_count = partitions_of_name(name);
    if (topic_count == TOPICS_MAX || partitions_all + partition_count > PARTITIONS_ALL_MAX)
        return -1;
    struct topic *topic = calloc(1, sizeof *topic + (size_t)partition_count * sizeof(int64_t));
    if (topic == NULL)
        return -1;
    memcpy(topic->name, name, strlen(name));
    topic->partition_count = partition_count;
    partitions_all += partition_count;
    topics[topic_count] = topic;
    return topic_count++;
}

static void topic_id_write(uint8_t *id, int index) {
    memset(id, 0, TOPIC_ID_BYTES);
    id[0] = 0x6e; /* never the null id */
    uint32_t number = htonl((uint32_t)index);
    memcpy(id + 12, &number, 4);
}

static int topic_find_by_id(const uint8_t *id) { /* topics_lock held */
    uint8_t expected[TOPIC_ID_BYTES];
    uint32_t number;
    memcpy(&number, id + 12, 4);
    number = ntohl(number);
    if (number >= (uint32_t)topic_count)
        return -1;
    topic_id_write(expected, (int)number);
    return memcmp(expected, id, TOPIC_ID_BYTES) == 0 ? (int)number : -1;
}

static void print_counts(const char *name) {
    pthread_mutex_lock(&topics_lock);
    int index = topic_find(name);
    int64_t records = 0;
    static struct topic none;
    struct topic *topic = index < 0 ? &none : topics[index];
    for (int32_t partition = 0; partition < topic->partition_count; partition++)
        records += topic->end_offsets[partition];
    printf("{\"records\": %lld, \"requests\": %lld, \"batches\": %lld, \"bytes\": %lld, \"partitions\": [",
           (long long)records, (long long)topic->requests, (long long)topic->batches, (long long)topic->bytes);
    for (int32_t partition = 0; partition < topic->partition_count; partition++)
        printf("%s%lld", partition ? ", " : "", (long long)topic->end_offsets[partition]);
    printf("]}\n");
    fflush(stdout);
    pthread_mutex_unlock(&topics_lock);
}

/* --- reading: a frame comes piece by piece; `failed` ends the connection */

struct reader {
    int socket;
    bool failed;
    int64_t frame_left; /* bytes of the frame that were not taken yet */
    size_t start, end;  /* of what `buffer` holds */
    uint8_t buffer[READ_BYTES];
};

static bool receive_some(struct reader *reader) {
    ssize_t got;
    memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
    reader->end -= reader->start;
    reader->start = 0;
    do
        got = recv(reader->socket, reader->buffer + reader->end, READ_BYTES - reader->end, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    reader->end += (size_t)got;
    return true;
}

/* Return the next `count` bytes of the frame, or NULL. Valid until the next call. */
static const uint8_t *take(struct reader *reader, int64_t count) {
    reader->failed |= count < 0 || count > reader->frame_left || count > READ_BYTES;
    while (!reader->failed && reader->end - reader->start < (size_t)count)
        reader->failed = !receive_some(reader);
    if (reader->failed)
        return NULL;
    const uint8_t *bytes = reader->buffer + reader->start;
    reader->start += (size_t)count;
    reader->frame_left -= count;
    return bytes;
}

/* Pass over bytes of the frame; what is not here yet is discarded in the kernel. */
static void skip(struct reader *reader, int64_t count) {
    if (reader->failed || count < 0 || count > reader->frame_left) {
        reader->failed = true;
        return;
    }
    reader->frame_left -= count;
    int64_t here = (int64_t)(reader->end - reader->start);
    if (here > count)
        here = count;
    reader->start += (size_t)here;
    count -= here;
    while (count > 0) {
        ssize_t got = recv(reader->socket, NULL, (size_t)count, MSG_TRUNC | MSG_WAITALL);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            reader->failed = true;
            return;
        }
        count -= got;
    }
}

static int64_t read_integer(struct reader *reader, int width) {
    const uint8_t *bytes = take(reader, width);
    if (bytes == NULL)
        return 0;
    uint64_t value = 0;
    for (int index = 0; index < width; index++)
        value = value << 8 | bytes[index];
    int spare = 64 - 8 * width;
    return (int64_t)(value << spare) >> spare;
}

static int16_t read_int16(struct reader *reader) { return (int16_t)read_integer(reader, 2); }
static int32_t read_int32(struct reader *reader) { return (int32_t)read_integer(reader, 4); }

static uint32_t read_unsigned_varint(struct reader *reader) {
    uint32_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
        const uint8_t *byte = take(reader, 1);
        if (byte == NULL)
            return 0;
        value |= (uint32_t)(*byte & 0x7f) << shift;
        if (*byte < 0x80)
            return value;
    }
    reader->failed = true;
    return 0;
}

/* Length of an array, bytes or string: -1 is null. `width` is that of the old form. */
static int64_t read_length(struct reader *reader, bool flexible, int width) {
    int64_t length = flexible ? (int64_t)read_unsigned_varint(reader) - 1 : read_integer(reader, width);
    if (length < -1 || length > reader->frame_left)
        reader->failed = true; /* each element takes at least a byte */
    return reader->failed ? -1 : length;
}

/* Copy a name that must not be longer than a topic's; return false when it is null. */
static bool read_name(struct reader *reader, bool flexible, char *name) {
    int64_t length = read_length(reader, flexible, 2);
    name[0] = 0;
    if (length > NAME_BYTES_MAX)
        reader->failed = true;
    const uint8_t *bytes = length < 0 ? NULL : take(reader, length);
    if (bytes == NULL)
        return false;
    memcpy(name, bytes, (size_t)length);
    name[length] = 0;
    return strlen(name) == (size_t)length;
}

static void skip_string(struct reader *reader, bool flexible) {
    int64_t length = read_length(reader, flexible, 2);
    if (length > 0)
        skip(reader, length);
}

static void skip_tags(struct reader *reader, bool flexible) {
    if (!flexible)
        return;
    for (uint32_t left = read_unsigned_varint(reader); left > 0 && !reader->failed; left--) {
        read_unsigned_varint(reader);
        skip(reader, read_unsigned_varint(reader));
    }
}

/* --- writing */

struct reply {
    uint8_t *bytes;
    size_t size, capacity;
    bool failed, flexible;
};

static void put(struct reply *reply, const void *bytes, size_t count) {
    if (reply->failed || reply->size + count > REPLY_BYTES_MAX) {
        reply->failed = true;
        return;
    }
    if (reply->size + count > reply->capacity) {
        size_t capacity = (reply->size + count) * 2;
        uint8_t *grown = realloc(reply->bytes, capacity);
        if (grown == NULL) {
            reply->failed = true;
            return;
        }
        reply->bytes = grown;
        reply->capacity = capacity;
    }
    memcpy(reply->bytes + reply->size, bytes, count);
    reply->size += count;
}

static void put_integer(struct reply *reply, int64_t value, int width) {
    uint8_t bytes[8];
    for (int index = 0; index < width; index++)
        bytes[index] = (uint8_t)((uint64_t)value >> 8 * (width - 1 - index));
    put(reply, bytes, (size_t)width);
}

static void put_unsigned_varint(struct reply *reply, uint32_t value) {
    for (; value >= 0x80; value >>= 7)
        put_integer(reply, (value & 0x7f) | 0x80, 1);
    put_integer(reply, value, 1);
}

static void put_length(struct reply *reply, int64_t length, int width) {
    if (reply->flexible)
        put_unsigned_varint(reply, (uint32_t)(length + 1));
    else
        put_integer(reply, length, width);
}

static void put_string(struct reply *reply, const char *text) {
    put_length(reply, (int64_t)strlen(text), 2);
    put(reply, text, strlen(text));
}

static void put_node_ids(struct reply *reply) { /* replicas, in-sync replicas */
    put_length(reply, 1, 4);
    put_integer(reply, NODE_ID, 4);
}

static void put_no_tags(struct reply *reply) {
    if (reply->flexible)
        put_unsigned_varint(reply, 0);
}

/* Begin a reply: its length comes first and is known last. */
static void begin_reply(struct reply *reply, int32_t correlation_id, bool flexible) {
    reply->size = 0;
    reply->flexible = flexible;
    put_integer(reply, 0, 4);
    put_integer(reply, correlation_id, 4);
}

static bool send_reply(int socket, struct reply *reply) {
    size_t size = reply->size, sent = 0;
    reply->size = 0;
    put_integer(reply, (int64_t)size - 4, 4);
    while (sent < size) {
        ssize_t count = send(socket, reply->bytes + sent, size - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        sent += (size_t)count;
    }
    return true;
}

/* --- the requests */

static void answer_api_versions(struct reply *reply, int16_t version, int16_t error) {
    reply->flexible = error == NONE && version >= 3;
    put_integer(reply, error, 2);
    put_length(reply, API_COUNT, 4);
    for (size_t index = 0; index < API_COUNT; index++) {
        put_integer(reply, APIS[index].key, 2);
        put_integer(reply, APIS[index].min, 2);
        put_integer(reply, APIS[index].max, 2);
        put_no_tags(reply);
    }
    if (error == NONE && version >= 1)
        put_integer(reply, 0, 4); /* throttle_time_ms */
    put_no_tags(reply);
}

static void answer_init_producer_id(struct reply *reply) {
    static int64_t last_producer_id;
    put_integer(reply, 0, 4); /* throttle_time_ms */
    put_integer(reply, NONE, 2);
    put_integer(reply, __atomic_add_fetch(&last_producer_id, 1, __ATOMIC_RELAXED), 8);
    put_integer(reply, 0, 2); /* producer_epoch */
    put_no_tags(reply);
}

static void put_topic_metadata(struct reply *reply, int16_t version, const char *name, int index) {
    uint8_t id[TOPIC_ID_BYTES] = {0};
    int32_t partition_count = index < 0 ? 0 : topics[index]->partition_count;
    put_integer(reply, index < 0 ? INVALID_TOPIC_EXCEPTION : NONE, 2);
    put_string(reply, name);
    if (index >= 0)
        topic_id_write(id, index);
    if (version >= 10)
        put(reply, id, sizeof id);
    put_integer(reply, 0, 1); /* is_internal */
    put_length(reply, partition_count, 4);
    for (int32_t partition = 0; partition < partition_count; partition++) {
        put_integer(reply, NONE, 2);
        put_integer(reply, partition, 4);
        put_integer(reply, NODE_ID, 4); /* leader_id */
        if (version >= 7)
            put_integer(reply, 0, 4); /* leader_epoch */
        put_node_ids(reply);
        put_node_ids(reply);
        if (version >= 5)
            put_length(reply, 0, 4); /* offline_replicas */
        put_no_tags(reply);
    }
    if (version >= 8)
        put_integer(reply, INT32_MIN, 4); /* topic_authorized_operations: not asked */
    put_no_tags(reply);
}

static void put_brokers(struct reply *reply, int16_t version) {
    put_length(reply, 1, 4);
    put_integer(reply, NODE_ID, 4);
    put_string(reply, "127.0.0.1");
    put_integer(reply, listening_port, 4);
    put_length(reply, -1, 2); /* rack */
    put_no_tags(reply);
    if (version >= 2)
        put_string(reply, "null-broker"); /* cluster_id */
    put_integer(reply, NODE_ID, 4);       /* controller_id */
}

static void answer_metadata(struct reader *reader, struct reply *reply, int16_t version) {
    bool flexible = reply->flexible;
    if (version >= 3)
        put_integer(reply, 0, 4); /* throttle_time_ms */
    put_brokers(reply, version);
    int64_t asked = read_length(reader, flexible, 4);
    if (asked > TOPICS_MAX)
        reader->failed = true;
    pthread_mutex_lock(&topics_lock);
    int64_t known = topic_count;
    pthread_mutex_unlock(&topics_lock);
    put_length(reply, asked < 0 ? known : asked, 4);
    for (int64_t number = 0; number < (asked < 0 ? known : asked) && !reader->failed; number++) {
        uint8_t id[TOPIC_ID_BYTES] = {0};
        char name[NAME_BYTES_MAX + 1] = "";
        if (asked >= 0) {
            const uint8_t *bytes = version < 10 ? NULL : take(reader, TOPIC_ID_BYTES);
            if (bytes != NULL)
                memcpy(id, bytes, sizeof id);
            read_name(reader, flexible, name); /* null for one that is asked by its id */
            skip_tags(reader, flexible);
        }
        pthread_mutex_lock(&topics_lock);
        int index = asked < 0 ? (int)number : name[0] ? topic_find_or_add(name) : topic_find_by_id(id);
        if (!reader->failed)
            put_topic_metadata(reply, version, index < 0 ? name : topics[index]->name, index);
        pthread_mutex_unlock(&topics_lock);
    }
    if (version >= 8 && version <= 10)
        put_integer(reply, INT32_MIN, 4); /* cluster_authorized_operations: not asked */
    put_no_tags(reply);
}

/* Walk the batches of a partition; return an error code. The frame is behind them afterwards. */
static int16_t count_batches(struct reader *reader, int64_t left, int64_t *records, int64_t *batches) {
    int16_t error = NONE;
    while (left > 0 && error == NONE && !reader->failed) {
        const uint8_t *header = left < BATCH_HEADER_BYTES ? NULL : take(reader, BATCH_HEADER_BYTES);
        if (header == NULL)
            return skip(reader, left), CORRUPT_MESSAGE;
        left -= BATCH_HEADER_BYTES;
        uint32_t batch_length, record_count;
        memcpy(&batch_length, header + 8, 4);
        memcpy(&record_count, header + 57, 4);
        int64_t rest = (int64_t)ntohl(batch_length) + BATCH_LOG_OVERHEAD - BATCH_HEADER_BYTES;
        if (header[16] != 2 || rest < 0 || rest > left || ntohl(record_count) > INT32_MAX) {
            error = CORRUPT_MESSAGE;
            break;
        }
        *records += ntohl(record_count);
        *batches += 1;
        skip(reader, rest);
        left -= rest;
    }
    skip(reader, left);
    return error;
}

static void answer_partition(struct reader *reader, struct reply *reply, int16_t version, int index) {
    bool flexible = reply->flexible;
    int32_t partition = read_int32(reader);
    int64_t records = 0, batches = 0, base_offset = -1;
    int64_t size = read_length(reader, flexible, 4);
    int16_t error = size <= 0 ? CORRUPT_MESSAGE : count_batches(reader, size, &records, &batches);
    skip_tags(reader, flexible);
    pthread_mutex_lock(&topics_lock);
    if (index < 0 || partition < 0 || partition >= topics[index]->partition_count)
        error = version >= 13 ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION;
    if (error == NONE && !reader->failed) {
        base_offset = topics[index]->end_offsets[partition];
        topics[index]->end_offsets[partition] += records;
        topics[index]->batches += batches;
        topics[index]->bytes += size;
    }
    pthread_mutex_unlock(&topics_lock);
    put_integer(reply, partition, 4);
    put_integer(reply, error, 2);
    put_integer(reply, base_offset, 8);
    put_integer(reply, -1, 8); /* log_append_time_ms */
    if (version >= 5)
        put_integer(reply, 0, 8); /* log_start_offset */
    if (version >= 8) {
        put_length(reply, 0, 4);  /* record_errors */
        put_length(reply, -1, 2); /* error_message */
    }
    put_no_tags(reply);
}

/* Answer a Produce request; return false when nobody is to hear an answer. */
static bool answer_produce(struct reader *reader, struct reply *reply, int16_t version) {
    bool flexible = reply->flexible, is_held = false;
    skip_string(reader, flexible); /* transactional_id */
    int16_t acks = read_int16(reader);
    skip(reader, 4); /* timeout_ms */
    int64_t topics_asked = read_length(reader, flexible, 4);
    if (topics_asked > TOPICS_MAX)
        reader->failed = true;
    put_length(reply, topics_asked < 0 ? 0 : topics_asked, 4);
    for (int64_t number = 0; number < topics_asked && !reader->failed; number++) {
        uint8_t id[TOPIC_ID_BYTES] = {0};
        char name[NAME_BYTES_MAX + 1] = "";
        const uint8_t *bytes = version < 13 ? NULL : take(reader, TOPIC_ID_BYTES);
        if (bytes != NULL)
            memcpy(id, bytes, sizeof id);
        else if (version < 13)
            read_name(reader, flexible, name);
        pthread_mutex_lock(&topics_lock);
        int index = version < 13 ? topic_find(name) : topic_find_by_id(id);
        if (index >= 0) {
            topics[index]->requests += 1;
            is_held |= strncmp(topics[index]->name, "hold-", 5) == 0;
        }
        pthread_mutex_unlock(&topics_lock);
        if (version < 13)
            put_string(reply, name);
        else
            put(reply, id, sizeof id);
        int64_t partitions = read_length(reader, flexible, 4);
        if (partitions > PARTITIONS_MAX)
            reader->failed = true;
        put_length(reply, partitions < 0 ? 0 : partitions, 4);
        for (int64_t row = 0; row < partitions && !reader->failed; row++)
            answer_partition(reader, reply, version, index);
        skip_tags(reader, flexible);
        put_no_tags(reply);
    }
    put_integer(reply, 0, 4); /* throttle_time_ms */
    put_no_tags(reply);
    return acks != 0 && !is_held;
}

/* Read one request and answer it; return false when the connection is to be closed. */
static bool serve_request(struct reader *reader, struct reply *reply) {
    reader->frame_left = 4;
    int32_t size = read_int32(reader);
    if (reader->failed || size < 10 || size > FRAME_BYTES_MAX)
        return false;
    reader->frame_left = size;
    int16_t api_key = read_int16(reader), version = read_int16(reader);
    int32_t correlation_id = read_int32(reader);
    size_t api = 0;
    while (api < API_COUNT && APIS[api].key != api_key)
        api++;
    if (api == API_COUNT || api_key == FETCH || api_key == FIND_COORDINATOR)
        return false;
    bool is_known = version >= APIS[api].min && version <= APIS[api].max;
    if (!is_known && api_key != API_VERSIONS)
        return false;
    skip_string(reader, false); /* client_id */
    bool flexible = is_known && version >= APIS[api].flexible;
    skip_tags(reader, flexible);
    begin_reply(reply, correlation_id, flexible);
    bool is_answered = true;
    if (api_key == API_VERSIONS) {
        answer_api_versions(reply, version, is_known ? NONE : UNSUPPORTED_VERSION); /* response header 0 */
    } else {
        put_no_tags(reply);
        if (api_key == INIT_PRODUCER_ID)
            answer_init_producer_id(reply);
        else if (api_key == METADATA)
            answer_metadata(reader, reply, version);
        else
            is_answered = answer_produce(reader, reply, version);
    }
    skip(reader, reader->frame_left); /* what these answers need not know */
    if (reader->failed || reply->failed)
        return false;
    return !is_answered || send_reply(reader->socket, reply);
}

/* --- connections and the command line */

static int connections;

static void *serve_connection(void *argument) {
    struct reader *reader = argument;
    struct reply reply = {0};
    while (serve_request(reader, &reply))
        continue;
    close(reader->socket);
    free(reply.bytes);
    free(reader);
    __atomic_sub_fetch(&connections, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void *accept_connections(void *argument) {
    int listener = *(int *)argument, on = 1;
    for (;;) {
        int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0)
            continue;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct reader *reader = calloc(1, sizeof *reader);
        pthread_t thread;
        bool is_room = __atomic_add_fetch(&connections, 1, __ATOMIC_RELAXED) <= CONNECTIONS_MAX;
        if (reader != NULL)
            reader->socket = socket;
        if (reader == NULL || !is_room || pthread_create(&thread, NULL, serve_connection, reader) != 0) {
            free(reader);
            close(socket);
            __atomic_sub_fetch(&connections, 1, __ATOMIC_RELAXED);
            continue;
        }
        pthread_detach(thread);
    }
    return NULL;
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_size = sizeof address;
    pthread_t thread;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, CONNECTIONS_MAX) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &address_size) != 0) {
        perror("null_broker");
        return 1;
    }
    listening_port = ntohs(address.sin_port);
    if (pthread_create(&thread, NULL, accept_connections, &listener) != 0)
        return 1;
    printf("127.0.0.1:%d\n", listening_port);
    fflush(stdout);
    char line[NAME_BYTES_MAX + 16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "counts ", 7) == 0)
            print_counts(line + 7);
    }
    return 0;
}
