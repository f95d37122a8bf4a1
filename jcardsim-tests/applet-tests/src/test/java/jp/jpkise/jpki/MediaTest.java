package jp.jpkise.jpki;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which medium may do what is an installation parameter. */
class MediaTest {
    private static final int CONTACT = 0x01;
    private static final int TYPE_A = 0x81;
    private static final int TYPE_B = 0x91;
    private static final int USB = 0xA1;
    private static final int HCI = 0xB1;
    private static final int TYPE_F = 0xC1;

    private static TestCard by(TestCard card, int protocol) {
        card.runtime.changeProtocol((byte) protocol);
        card.select();
        return card;
    }

    @Test
    void by_default_the_password_works_by_contact_only_and_the_pin_everywhere() {
        TestCard card = TestCard.active();
        for (int medium : new int[] {CONTACT, USB, HCI}) {
            by(card, medium);
            card.verify(TestCard.SIGN).ok();
            card.verify(TestCard.AUTH).ok();
        }
        for (int medium : new int[] {TYPE_A, TYPE_B, TYPE_F}) {
            by(card, medium);
            card.verify(TestCard.AUTH).ok();
            card.sign(TestCard.AUTH, 0, new byte[1]).ok();
            card.read(0x0A, 0, 4).ok();
            card.verify(TestCard.SIGN, Hex.ascii("WRONG1")).sw(0x6985, "strangers could block it");
            card.verify(TestCard.SIGN, new byte[0]).sw(0x63C5, "the counter is still told");
            card.change(TestCard.SIGN, TestCard.PASSWORD, TestCard.PASSWORD).sw(0x6985);
            card.sign(TestCard.SIGN, 0, new byte[1]).sw(0x6985);
            card.read(0x01, 0, 4).sw(0x6985);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "84020303, 81, 9000", "84020302, 01, 6985", "84020302, 81, 9000", "84020300, 81, 6985", "84020300, 01, 6985",
        "85020000, 81, 9000", "85021300, C1, 6985", "8502FFFF, 01, 6985", "85020800, B1, 6985", "85020800, 81, 9000"})
    void the_parameters_say_which_media_the_password_may_use(String parameters, String protocol, String sw) {
        TestCard card = TestCard.installed(parameters + "800158");
        // Issued by a medium on which it may: find one.
        for (int medium : new int[] {CONTACT, TYPE_A, HCI}) {
            by(card, medium);
            if (card.state(TestCard.SIGN) == JpkiKey.EMPTY) {
                try {
                    card.bring(TestCard.SIGN, JpkiKey.ACTIVE);
                } catch (AssertionError refused) {
                    card.openChannel().admin(0xE4, TestCard.SIGN).ok();
                }
            }
        }
        if (card.state(TestCard.SIGN) == JpkiKey.EMPTY) {
            // Usable nowhere: the refusal comes before the state.
            by(card, Integer.parseInt(protocol, 16));
            card.verify(TestCard.SIGN).sw(Integer.parseInt(sw, 16));
            return;
        }
        by(card, Integer.parseInt(protocol, 16));
        card.verify(TestCard.SIGN).sw(Integer.parseInt(sw, 16));
    }

    @Test
    void administration_can_be_refused_by_contactless() {
        TestCard card = TestCard.installed("830102");
        by(card, TYPE_A);
        card.send("8050300008" + "00".repeat(8) + "00").sw(0x6985);
        card.channel.setLevel(TestCard.LEVEL_33);
        card.secure("84460100").sw(0x6985);
        card.secure("84CA7F49", Hex.bytes("0100")).sw(0x6985);
        by(card, CONTACT);
        card.openChannel().admin(0x46, TestCard.AUTH).ok();
    }

    @Test
    void a_free_certificate_is_free_on_every_medium() {
        TestCard card = TestCard.active("820101" + "84020101");
        by(card, TYPE_A);
        card.read(0x0A, 0, 4).ok();
        card.verify(TestCard.AUTH).sw(0x6985);
    }
}
