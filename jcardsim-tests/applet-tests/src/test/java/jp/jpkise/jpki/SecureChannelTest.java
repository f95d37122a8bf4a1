package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.stream.Stream;
import jp.jpkise.sim.CardRuntime;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The applet refuses by itself, whatever the card manager lets through. */
class SecureChannelTest {
    /** Every admin command, well formed: header and data. */
    static Stream<String[]> adminCommands() {
        String block = Hex.of(TestCard.secretBlock(TestCard.PIN));
        return Stream.of(
                new String[] {"GENERATE ASYMMETRIC KEY PAIR", "46", "0100", ""},
                new String[] {"PROVE POSSESSION", "2B", "0100", "11".repeat(32)},
                new String[] {"RESET RETRY COUNTER", "2C", "0100", block},
                new String[] {"DEACTIVATE FILE", "04", "0100", ""},
                new String[] {"ACTIVATE FILE", "44", "0100", ""},
                new String[] {"TERMINATE EF", "E8", "0100", ""},
                new String[] {"DELETE FILE", "E4", "0100", ""},
                new String[] {"DELETE FILE of all", "E4", "FF00", ""},
                new String[] {"STORE DATA", "E2", "8800", "000601" + "58"},
                new String[] {"GET DATA public key", "CA", "7F49", "0100"},
                new String[] {"GET DATA proof", "CA", "DF3E", "0100"},
                new String[] {"GET DATA attestation", "CA", "DF32", "00".repeat(16)},
                new String[] {"GET DATA lease", "CA", "DF33", ""});
    }

    /** All of them are sent to the authentication key. */
    private static TestCard authActive() {
        return TestCard.installed().bring(TestCard.AUTH, JpkiKey.ACTIVE);
    }

    private static final byte[] TOKEN_BEFORE = Hex.ascii("JPKIAPGPSETOKEN" + " ".repeat(17));

    @ParameterizedTest
    @MethodSource("adminCommands")
    void an_admin_command_needs_level_13(String name, String ins, String p1p2, String data) {
        TestCard card = authActive();
        byte[] status = card.send("80CADF3100").data();
        for (int level : new int[] {0x00, 0x80, 0x81, 0x83, 0x91, 0x90, 0x82, 0x92, 0x13, 0x33}) {
            card.select();
            card.channel.setLevel(level);
            card.secure("84" + ins + p1p2, Hex.bytes(data)).sw(0x6982, name + " at " + Integer.toHexString(level));
            assertArrayEquals(status, card.send("80CADF3100").data());
            assertArrayEquals(TOKEN_BEFORE, card.readWhole(0x06));
        }
        for (int level : new int[] {TestCard.LEVEL_13, TestCard.LEVEL_33}) {
            card.select();
            card.channel.setLevel(level);
            assertNotEquals(0x6982, card.secure("84" + ins + p1p2, Hex.bytes(data)).sw(), name);
        }
    }

    @ParameterizedTest
    @MethodSource("adminCommands")
    void an_admin_command_in_clear_inside_an_open_session_is_6982_and_never_unwrapped(
            String name, String ins, String p1p2, String data) {
        TestCard card = authActive();
        card.channel.setLevel(TestCard.LEVEL_33);
        byte[] status = card.send("80CADF3100").data();
        int unwraps = card.channel.unwraps();
        card.send("80" + ins + p1p2, Hex.bytes(data), 0).sw(0x6982, name);
        card.send("82" + ins + p1p2, Hex.bytes(data), 0).sw(0x6982, name + " on channel 2");
        card.send("00" + ins + p1p2, Hex.bytes(data), 0).sw(0x6D00, name + " with the interindustry class");
        assertEquals(unwraps, card.channel.unwraps());
        assertArrayEquals(status, card.send("80CADF3100").data());
    }

    @ParameterizedTest
    @MethodSource("adminCommands")
    void an_admin_command_with_a_wrong_mac_is_6982_and_the_session_is_over(
            String name, String ins, String p1p2, String data) {
        TestCard card = authActive().openChannel();
        byte[] sent = card.protect(Hex.bytes(data));
        sent[sent.length - 1] ^= 1;
        card.send("84" + ins + p1p2, sent, 0).sw(0x6982, name);
        sent[sent.length - 1] ^= 1;
        card.send("84" + ins + p1p2, sent, 0).sw(0x6985, name + " after the abort");
    }

    @ParameterizedTest
    @MethodSource("adminCommands")
    void an_admin_command_works_on_every_logical_channel(String name, String ins, String p1p2, String data) {
        int basic = authActive().openChannel().secure("84" + ins + p1p2, Hex.bytes(data)).sw();
        int third = authActive().openChannel().secure("87" + ins + p1p2, Hex.bytes(data)).sw();
        assertEquals(basic, third, name);
    }

    @ParameterizedTest
    @ValueSource(strings = {"08", "0C", "10", "14", "20", "40", "44", "60", "88", "8C", "94", "98", "A0", "C0", "E0", "FC"})
    void other_classes_are_6e00(String cla) {
        TestCard card = TestCard.installed().openChannel();
        card.send(cla + "B0820004").sw(0x6E00);
        card.send(cla + "460100", card.protect(new byte[0]), 0).sw(0x6E00);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0000", "0082", "0001", "00FF", "8000", "8020", "80A4", "80B0", "8082", "80FF", "9020", "90CA",
        "90E2", "0050", "002A", "00CA"})
    void unknown_instructions_are_6d00(String header) {
        TestCard.installed().send(header + "0000").sw(0x6D00);
    }

    @Test
    void unknown_instructions_in_the_channel_are_6d00_and_the_session_goes_on() {
        TestCard card = TestCard.active().openChannel();
        card.secure("84FF0000").sw(0x6D00);
        card.secure("84200098", TestCard.PIN).sw(0x6D00);
        card.secure("84CADF31").ok();
        card.send("8450300000").sw(0x6982, "INITIALIZE UPDATE has no secure messaging");
    }

    @Test
    void selecting_another_application_ends_the_session() {
        TestCard card = TestCard.installed().openChannel();
        int resets = card.channel.resets();
        card.select();
        assertEquals(resets + 1, card.channel.resets());
        card.secure("84460100").sw(0x6982);
    }

    @Test
    void a_failed_external_authenticate_answers_its_own_status() {
        TestCard card = TestCard.installed();
        card.send("8050300008" + "00".repeat(8) + "00").ok();
        card.send("8482330010" + "FF".repeat(16)).sw(0x6300);
    }

    // Commands for everybody, in the channel.

    @Test
    void commands_for_everybody_answer_wrapped() {
        for (int p1 : new int[] {0x01, 0x03, 0x11, 0x13, 0x33}) {
            TestCard card = authActive().openChannel(p1);
            card.secure("04A4020C", Hex.bytes("0018")).is("");
            card.secure("04A40200", Hex.bytes("0018")).is("6F0483020018");
            card.secure("04200080", Hex.ascii("0000")).sw(0x63C2);
            card.secure("04200080").sw(0x63C2, "empty VERIFY");
            card.secure("04200098", TestCard.PIN).is("");
            card.secure("04240198", Hex.ascii("2222")).is("");
            card.secure("04200098", Hex.ascii("2222")).is("");
            card.secure("84CADF31").is("0303000500000000");
            card.secure("04B08800").is("008F00");
            assertEquals(224, card.secure("04840000").ok().data().length);
            assertEquals(224, card.secure("04B08A00").ok().data().length);
            card.secure("04B0FF00").sw(0x6A86);
            card.secure("842A0097", new byte[32]).sw(0x6985);
            card.secure("04A4040C", Hex.bytes("A000000000")).sw(0x6A82);
        }
    }

    @Test
    void the_channel_carries_at_most_224_bytes() {
        TestCard card = TestCard.active().openChannel(0x33);
        card.secure("04200098", TestCard.PIN).ok();
        byte[] mac = card.protect(new byte[0]);
        assertEquals(224 + 8, card.send("04B08A00", mac, 224).ok().data().length);
        assertEquals(100 + 8, card.send("04B08A00", mac, 100).ok().data().length);
        card.send("04B08A00", mac, 225).sw(0x6985);
        card.send("04B08A00", mac, 255).sw(0x6985);
        card.send("04840000", mac, 255).sw(0x6985);
    }

    @Test
    void secure_messaging_without_a_session_is_6982() {
        TestCard card = TestCard.active();
        card.send("04B0880003").sw(0x6982);
        card.send("04200098", TestCard.PIN, -1).sw(0x6982);
        assertEquals(3, card.triesLeft(TestCard.AUTH));
    }

    @Test
    void clear_commands_leave_the_session_alone() {
        TestCard card = TestCard.active().openChannel();
        card.verify(TestCard.AUTH).ok();
        card.sign(TestCard.AUTH, 0, new byte[1]).ok();
        card.secure("84CADF31").ok();
    }

    // Small APDU buffers.

    @Test
    void with_a_small_apdu_buffer_commands_in_clear_work_and_the_channel_is_6a81() {
        TestCard card = TestCard.active();
        byte[] certificate = card.verify(TestCard.SIGN).ok().data();
        certificate = card.readWhole(0x01);
        byte[] signature = card.sign(TestCard.SIGN, 0, new byte[51]).ok().data();
        card.runtime.resizeApduBuffer(CardRuntime.SMALLEST_APDU_BUFFER);
        card.select();
        card.send("80CADF3000").is("000100030085");
        card.verify(TestCard.SIGN).ok();
        assertArrayEquals(certificate, card.readWhole(0x01));
        assertArrayEquals(signature, card.sign(TestCard.SIGN, 0, new byte[51]).ok().data());
        assertEquals(256, card.sign(TestCard.SIGN, 4, new byte[32]).ok().data().length);
        assertEquals(256, card.send("0084000000").ok().data().length);
        card.change(TestCard.SIGN, TestCard.PASSWORD, Hex.ascii("NEW12345")).ok();
        card.send("8050300008" + "00".repeat(8) + "00").sw(0x6A81);
        card.channel.setLevel(TestCard.LEVEL_33);
        card.secure("84460100").sw(0x6A81);
    }
}
