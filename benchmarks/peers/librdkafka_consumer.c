/* librdkafka's consumer from C, as a peer: batches of messages from its queue, no Python anywhere.
 *
 * in:   the command line that all peers have (README.md)
 * out:  one line of JSON
 * The library may be the one inside the confluent-kafka wheel, which has no header: the functions of
 * its stable ABI that are used here are declared here.
 *
 *     gcc -O2 -o librdkafka_consumer librdkafka_consumer.c .../librdkafka.so.1 -Wl,-rpath,...
 */
#define PEER "librdkafka_consumer"
#include "librdkafka_peer.h"

typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_topic_partition_list_s rd_kafka_topic_partition_list_t;
struct metadata_topic {
    char *topic;
    int partition_count;
    void *partitions;
    int err;
};
struct metadata {
    int broker_count;
    void *brokers;
    int topic_count;
    struct metadata_topic *topics;
};
int rd_kafka_metadata(rd_kafka_t *, int, rd_kafka_topic_t *, const struct metadata **, int);
int rd_kafka_poll_set_consumer(rd_kafka_t *);
rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *);
rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int);
void *rd_kafka_topic_partition_list_add(rd_kafka_topic_partition_list_t *, const char *, int32_t);
int rd_kafka_topic_partition_list_set_offset(rd_kafka_topic_partition_list_t *, const char *, int32_t, int64_t);
int rd_kafka_assign(rd_kafka_t *, const rd_kafka_topic_partition_list_t *);
ssize_t rd_kafka_consume_batch_queue(rd_kafka_queue_t *, int, rd_kafka_message_t **, size_t);
void rd_kafka_message_destroy(rd_kafka_message_t *);
enum { RD_KAFKA_CONSUMER = 1, RD_KAFKA_OFFSET_BEGINNING = -2 };
enum { CALL_RECORDS = 10000, SILENCE_MS = 15000, METADATA_TIMEOUT_MS = 30000 };

static rd_kafka_t *new_consumer(void) {
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap_server);
    set(conf, "group.id", "compare");
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "enable.auto.commit", "false");
    set(conf, "check.crcs", "true");
    if (strcmp(settings, "tuned") == 0) {
        set(conf, "queued.min.messages", "1000000");
        set(conf, "queued.max.messages.kbytes", "262144");
        set(conf, "fetch.queue.backoff.ms", "1");
        set(conf, "max.partition.fetch.bytes", "8388608");
        set(conf, "fetch.max.bytes", "52428800");
    }
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (client == NULL)
        stop(text);
    rd_kafka_poll_set_consumer(client);
    return client;
}

/* Ask for the topic's partitions, which also opens connections. */
static rd_kafka_topic_partition_list_t *all_partitions(rd_kafka_t *client) {
    const struct metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, topic_name, NULL);
    if (topic == NULL || rd_kafka_metadata(client, 0, topic, &metadata, METADATA_TIMEOUT_MS) != 0)
        stop("there is no metadata of the topic");
    int count = metadata->topics[0].partition_count;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int32_t partition = 0; partition < count; partition++) {
        rd_kafka_topic_partition_list_add(list, topic_name, partition);
        rd_kafka_topic_partition_list_set_offset(list, topic_name, partition, RD_KAFKA_OFFSET_BEGINNING);
    }
    return list;
}

int main(int argc, char **argv) {
    static rd_kafka_message_t *messages[CALL_RECORDS];
    long got = 0, size_bytes = 0;
    read_command_line(argc, argv);
    rd_kafka_t *client = new_consumer();
    rd_kafka_topic_partition_list_t *partitions = all_partitions(client);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    reset_resident_max();
    long idle_kb = resident_kb("VmRSS");
    double wall = seconds_now(), cpu = cpu_seconds();
    if (rd_kafka_assign(client, partitions) != 0)
        stop("the assignment was refused");
    while (got < record_count) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, SILENCE_MS, messages, CALL_RECORDS);
        if (count <= 0)
            break;
        for (ssize_t number = 0; number < count; number++) {
            if (messages[number]->err == 0) {
                size_bytes += (long)messages[number]->len;
                got += 1;
            }
            rd_kafka_message_destroy(messages[number]);
        }
    }
    cpu = cpu_seconds() - cpu;
    wall = seconds_now() - wall;
    printf("{\"records\": %ld, \"warm_up\": 0, \"bytes\": %ld, \"cpu_seconds\": %f, \"seconds\": %f, "
           "\"resident_over_idle_kb\": %ld, \"version\": \"%s\"}\n",
           got, size_bytes, cpu, wall, resident_kb("VmHWM") - idle_kb, rd_kafka_version_str());
    fflush(stdout);
    _exit(0); /* nothing is left to be done */
}
