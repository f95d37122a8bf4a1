package jp.jpkise.ara;

import static jp.jpkise.ara.TestAra.bytes;
import static jp.jpkise.ara.TestAra.hex;
import static jp.jpkise.ara.TestAra.join;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The published vectors, where they lie beside the checkout; those made for this project are in the host's tests too. */
class VectorsTest {
    private static final Path SHARED = Path.of("../../../shared/vectors/ara");
    private static final Path OWN = Path.of("../../host/omapi/tests/data");

    private static String read(String name) throws IOException {
        if (Files.exists(SHARED.resolve(name))) {
            return Files.readString(SHARED.resolve(name));
        }
        System.out.println("skipped: vectors of other projects in " + name + " are not here");
        return Files.readString(OWN.resolve(name));
    }

    /** The vectors of a file as text, one after the other. */
    private static List<String> vectors(String name) throws IOException {
        return Stream.of(read(name).split("\"id\":")).skip(1).toList();
    }

    private static String field(String vector, String name) {
        Matcher matcher = Pattern.compile("\"" + name + "\":\\s*\"([^\"]*)\"").matcher(vector);
        assertTrue(matcher.find(), name + " in " + vector);
        return matcher.group(1);
    }

    @Test
    void store_data_answers_as_the_vectors_allow() throws IOException {
        List<String> vectors = vectors("store-data.json");
        for (String vector : vectors) {
            byte[] command = bytes(field(vector, "command"));
            TestAra card = new TestAra().open();
            int sw = card.block(command[2] & 0xFF, command[3], Arrays.copyOfRange(command, 5, command.length)).sw();
            if (vector.contains("store-data-status")) {
                String allowed = vector.substring(vector.indexOf("expect_status_words"));
                assertTrue(allowed.contains(String.format("\"%04x\"", sw)), vector + Integer.toHexString(sw));
            } else {
                assertEquals(0x9000, sw);
            }
        }
        assertTrue(vectors.size() >= 4);
    }

    @Test
    void well_formed_rules_are_stored_and_given_back_as_they_were() throws IOException {
        int stored = 0;
        for (String vector : vectors("rules.json")) {
            String kind = field(vector, "kind");
            String rule = field(vector, "hex");
            if (kind.equals("store")) {
                rule = rule.substring(rule.indexOf("e2"));
            } else if (!kind.equals("ref-ar-do")) {
                continue;
            }
            TestAra card = new TestAra().open();
            card.add(bytes(rule)).sw(0x9000, vector);
            assertEquals(List.of(rule), card.rules());
            stored++;
        }
        assertTrue(stored >= 5);
    }

    @Test
    void malformed_rules_are_not_stored() throws IOException {
        int refused = 0;
        for (String vector : vectors("rules-malformed.json")) {
            if (!field(vector, "kind").equals("ref-ar-do")) {
                continue;
            }
            TestAra card = new TestAra().open();
            card.add(bytes(field(vector, "hex"))).sw(0x6A80, vector);
            assertEquals("ff4000", hex(card.all()));
            refused++;
        }
        assertEquals(10, refused);
    }

    @Test
    void the_paging_vector_s_rules_come_back_in_pages_of_its_size() throws IOException {
        String vector = vectors("paging.json").get(0);
        byte[] whole = bytes(field(vector, "whole"));
        TestAra card = new TestAra().open();
        for (int at = 5; at < whole.length; at += 2 + whole[at + 1]) {
            card.add(Arrays.copyOfRange(whole, at, at + 2 + whole[at + 1])).sw(0x9000);
        }
        assertEquals(12, card.rules().size());
        byte[] all = card.all();
        assertEquals(hex(Arrays.copyOf(whole, 5)), hex(Arrays.copyOf(all, 5)));
        assertEquals(whole.length, all.length);
        byte[] first = card.send("80CAFF4000").ok();
        assertEquals(255, first.length);
        assertEquals(hex(all), hex(join(first, card.send("80CAFF6000").ok(), card.send("80CAFF6000").ok())));
    }
}
