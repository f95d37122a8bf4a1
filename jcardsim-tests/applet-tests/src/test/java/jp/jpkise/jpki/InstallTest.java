package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import javacard.framework.ISOException;
import jp.jpkise.sim.CardRuntime;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Installation parameters, each rule once. */
class InstallTest {
    private static String hex(String ascii) {
        return Hex.of(Hex.ascii(ascii));
    }

    @Test
    void without_parameters_it_is_the_phones_token_with_three_and_five_tries() {
        TestCard card = TestCard.installed("");
        assertEquals("JPKIAPGPSETOKEN" + " ".repeat(17), new String(card.readWhole(0x06)));
        assertEquals(3, card.triesLeft(TestCard.AUTH));
        assertEquals(5, card.triesLeft(TestCard.SIGN));
    }

    @Test
    void a_label_is_padded_with_spaces() {
        assertEquals("X" + " ".repeat(31), new String(TestCard.installed("800158").readWhole(0x06)));
        assertEquals("Y".repeat(32), new String(TestCard.installed("8020" + "59".repeat(32)).readWhole(0x06)));
    }

    @Test
    void tries_are_those_asked_for() {
        TestCard card = TestCard.installed("8102010F");
        assertEquals(1, card.triesLeft(TestCard.AUTH));
        assertEquals(15, card.triesLeft(TestCard.SIGN));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "80", "8000", "8021" + "595959595959595959595959595959595959595959595959595959595959595959", "800258",
        "8100", "810103", "81030305 05", "81020005", "81020300", "81021005", "81020310", "8102FF05",
        "8200", "82020000", "820110", "8201FF", "8300", "83020000", "840103", "84030303 03", "850113", "85031300 00",
        "830104", "8301FF", "84020401", "84020304", "8402FFFF",
        "860100", "0000", "C900", "800158 81"})
    void a_wrong_parameter_fails_the_installation_with_6a80(String parameters) {
        ISOException refused = assertThrows(ISOException.class, () -> TestCard.installed(parameters.replace(" ", "")));
        assertEquals(0x6A80, refused.getReason());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "01", "0AD392F0002601000000", "0AD392F00026010000000101", "0AD392F00026010000000101000581"})
    void an_install_array_that_is_not_three_lv_fails_with_6a80(String array) {
        byte[] bytes = Hex.bytes(array);
        CardRuntime runtime = new CardRuntime(new StubChannel());
        ISOException refused = assertThrows(ISOException.class,
                () -> JpkiApplet.install(bytes, (short) 0, (byte) bytes.length));
        assertEquals(0x6A80, refused.getReason());
        assertEquals(0, runtime.memory().appletArrays());
    }

    @Test
    void the_cards_label_frees_the_authentication_certificate_and_the_phones_does_not() {
        for (boolean free : new boolean[] {false, true}) {
            TestCard card = TestCard.installed(free ? "800F" + hex("JPKIAPICCTOKEN2") : "800F" + hex("JPKIAPGPSETOKEN"));
            card.bring(TestCard.AUTH, JpkiKey.CERTIFIED);
            card.read(0x0A, 0, 0).sw(free ? 0x9000 : 0x6982);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"800F4A504B4941504943 43544F4B454E32 820102", "820102 800F4A504B4941504943 43544F4B454E32"})
    void the_labels_bit_and_the_policys_add_up_in_either_order(String parameters) {
        TestCard card = TestCard.installed(parameters.replace(" ", ""));
        card.bring(TestCard.AUTH, JpkiKey.ACTIVE);
        card.read(0x0A, 0, 0).ok();
        for (int i = 0; i < 3; i++) {
            card.verify(TestCard.AUTH, Hex.ascii("0000"));
        }
        card.verify(TestCard.AUTH).sw(0x6983);
    }

    @Test
    void the_instance_answers_to_the_aid_it_was_given() {
        TestCard card = new TestCard();
        byte[] aid = Hex.bytes("D392F00026010000000155");
        card.runtime.install(JpkiApplet.class, aid, new byte[] {0}, new byte[0]);
        card.send("00A40400", aid, 0).is("6F0D840B" + Hex.of(aid));
    }
}
