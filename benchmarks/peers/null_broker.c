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
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "null_broker_wire.h"

enum {
    FRAME_BYTES_MAX = 100 << 20, /* socket.request.max.bytes */
    CONNECTIONS_MAX = 256,
    TOPICS_MAX = 4096,
    PARTITIONS_MAX = 10000,        /* of a topic */
    PARTITIONS_ALL_MAX = 1000000,  /* of all topics */
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
    long count = mark == NULL || mark[1] != 'p' ? 1 : strtol(mark + 2, NULL, 10);
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

static void put_node_ids(struct reply *reply) { /* replicas, in-sync replicas */
    put_length(reply, 1, 4);
    put_integer(reply, NODE_ID, 4);
}

static void put_topic_metadata(struct reply *reply, int16_t version, const char *name, int index) {
    uint8_t id[TOPIC_ID_BYTES] = {0};
    int32_t partition_count = index < 0 ? 0 : topics[index]->partition_count;
    put_integer(reply, index < 0 ? INVALID_TOPIC_EXCEPTION : NONE, 2);
    put_string(reply, name);
    if (index >= 0)
        topic_id_write(id, index);
    put(reply, id, version >= 10 ? sizeof id : 0);
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
    int32_t partition = (int32_t)read_integer(reader, 4);
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
    int16_t acks = (int16_t)read_integer(reader, 2);
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
    int32_t size = (int32_t)read_integer(reader, 4);
    if (reader->failed || size < 10 || size > FRAME_BYTES_MAX)
        return false;
    reader->frame_left = size;
    int16_t api_key = (int16_t)read_integer(reader, 2);
    int16_t version = (int16_t)read_integer(reader, 2);
    int32_t correlation_id = (int32_t)read_integer(reader, 4);
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
