import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.HexFormat;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

/**
 * Reads lines of a key in hexadecimal digits and a count of partitions, and prints for each what the Java client makes
 * of them: the hash, and the partition that its producer chooses.
 */
public final class PartitionOfKey {
    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder answers = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ", -1);
            byte[] key = HexFormat.of().parseHex(words[0]);
            int count = Integer.parseInt(words[1]);
            int hash = Utils.toPositive(Utils.murmur2(key));
            answers.append(hash).append(' ').append(BuiltInPartitioner.partitionForKey(key, count)).append('\n');
        }
        System.out.print(answers);
    }
}
