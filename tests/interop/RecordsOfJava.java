import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes the records that it reads as lines, timestamp, key, value and headers in hexadecimal digits with - for null, to
 * one topic after the other: the arguments are bootstrap.servers and TOPIC:CODEC, or TOPIC:CODEC:TRANSACTION_RECORDS for
 * transactions of so many records, of which every second one is aborted.
 */
public final class RecordsOfJava {
    private static byte[] bytes(String digits) {
        return digits.equals("-") ? null : HexFormat.of().parseHex(digits);
    }

    public static void main(String[] arguments) throws Exception {
        List<String[]> lines = new ArrayList<>();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            lines.add(line.split(" ", -1));
        }
        for (int index = 1; index < arguments.length; index++) {
            String[] told = arguments[index].split(":");
            write(arguments[0], told[0], told[1], told.length > 2 ? Integer.parseInt(told[2]) : 0, lines);
        }
    }

    private static void write(String servers, String topic, String codec, int transactionRecords, List<String[]> lines) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", servers);
        properties.put("compression.type", codec);
        properties.put("linger.ms", "20");
        if (transactionRecords > 0) {
            properties.put("transactional.id", topic);
        }
        ByteArraySerializer same = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties, same, same)) {
            if (transactionRecords > 0) {
                producer.initTransactions();
            }
            for (int number = 0; number < lines.size(); number++) {
                if (transactionRecords > 0 && number % transactionRecords == 0) {
                    producer.beginTransaction();
                }
                producer.send(record(topic, lines.get(number)));
                if (transactionRecords > 0 && (number + 1) % transactionRecords == 0) {
                    producer.flush();
                    if (number / transactionRecords % 2 == 0) {
                        producer.commitTransaction();
                    } else {
                        producer.abortTransaction();
                    }
                }
            }
        }
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, String[] words) {
        List<Header> headers = new ArrayList<>();
        for (int index = 3; index + 1 < words.length; index += 2) {
            headers.add(new RecordHeader(new String(bytes(words[index])), bytes(words[index + 1])));
        }
        return new ProducerRecord<>(topic, 0, Long.parseLong(words[0]), bytes(words[1]), bytes(words[2]), headers);
    }
}
