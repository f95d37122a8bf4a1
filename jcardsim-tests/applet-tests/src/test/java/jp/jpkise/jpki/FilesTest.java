package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** SELECT and READ BINARY; the numbers are sections of the card edge's reference page. */
class FilesTest {
    private static TestCard issued;
    private static byte[] ca;

    @BeforeAll
    static void issue() {
        issued = TestCard.installed().openChannel();
        ca = TestCertificate.ofSize(new byte[256], 1330);
        issued.storeData(TestCard.dgi(0x0002, ca)).ok();
        issued.bring(TestCard.AUTH, JpkiKey.ACTIVE).bring(TestCard.SIGN, JpkiKey.ACTIVE);
    }

    @Test
    void select_by_name_gives_an_fci_only_when_asked() {
        TestCard card = TestCard.installed();
        card.send("00A4040C", TestCard.AID, -1).is("");
        card.send("00A40400", TestCard.AID, 0).is("6F0C840AD392F000260100000001");
        card.send("00A40400", TestCard.AID, -1).is("6F0C840AD392F000260100000001");
    }

    /** Section 9, 1: the runtime hands us SELECTs for applications it does not have. */
    @ParameterizedTest
    @ValueSource(strings = {"D276000124 01", "A000000308000010000100", "D3921000310001010408", "A0000001510000"})
    void a_foreign_aid_while_selected_is_6a82_and_nothing_changes(String aid) {
        issued.select();
        issued.verify(TestCard.SIGN).ok();
        issued.selectEf(0x01).ok();
        for (String p2 : new String[] {"00", "0C", "02"}) {
            issued.send("00A404" + p2, Hex.bytes(aid), 0).sw(0x6A82);
        }
        issued.send("00B0000004").ok();
    }

    @ParameterizedTest
    @CsvSource({"01, 9000", "02, 9000", "06, 9000", "08, 9000", "0A, 9000", "0B, 9000", "17, 9000", "18, 9000",
        "1A, 9000", "1B, 9000", "00, 6A82", "03, 6A82", "09, 6A82", "16, 6A82", "1C, 6A82", "1F, 6A82", "81, 6A82"})
    void select_ef_knows_ten_files(String id, String sw) {
        issued.send("00A4020C0200" + id).sw(Integer.parseInt(sw, 16));
    }

    @ParameterizedTest
    @CsvSource({
        "00A4020002001B, 6F048302001B9000", "00A4020C02011B, 6A82", "00A4020C021B00, 6A82", "00A4020C023F00, 6A82",
        "00A4020C, 6700", "00A4020C011B, 6700", "00A4020C03001B00, 6700", "00A4020402001B, 6A86",
        "00A4000C02001B, 6A86", "00A4010C02001B, 6A86", "00A4030C02001B, 6A86", "00A4080C02001B, 6A86",
        "80A4020C02001B, 6D00"})
    void select_ef_edges(String command, String answer) {
        Answer got = issued.send(command);
        assertEquals(answer, Hex.of(got.data()) + String.format("%04X", got.sw()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"00A40400", "00A4040000", "00A4040C04D392F000", "00A4040C11D392F00026010000000100000000000000"})
    void a_select_by_name_without_a_name_a_card_could_have_is_6a82(String command) {
        issued.send(command).sw(0x6A82);
    }

    @Test
    void a_failed_select_ef_keeps_the_current_ef() {
        issued.selectEf(0x02).ok();
        issued.selectEf(0x03).sw(0x6A82);
        issued.send("00B0000004").ok();
    }

    @Test
    void read_binary_without_a_current_ef_is_6986() {
        TestCard.installed().send("00B0000004").sw(0x6986);
    }

    /** Section 4: any offset, any Le, short data with 9000 at the end, 6B00 behind it. */
    @Test
    void read_binary_gives_the_right_bytes_at_every_offset_and_le() {
        issued.selectEf(0x02).ok();
        for (int offset = 0; offset < ca.length; offset++) {
            int le = offset * 7 % 256;
            int wanted = Math.min(le == 0 ? 256 : le, ca.length - offset);
            byte[] expected = Arrays.copyOfRange(ca, offset, offset + wanted);
            assertArrayEquals(expected, issued.send(String.format("00B0%04X%02X", offset, le)).ok().data());
        }
        for (int le : new int[] {0, 1, 4, 7, 0xE0, 0xFF}) {
            int wanted = le == 0 ? 256 : le;
            assertEquals(wanted, issued.send(String.format("00B00000%02X", le)).ok().data().length);
            assertEquals(Math.min(wanted, 10), issued.send(String.format("00B0%04X%02X", ca.length - 10, le)).ok()
                    .data().length);
        }
        for (int offset : new int[] {ca.length, ca.length + 1, 0x600, 0xA00, 0x7FFF}) {
            issued.send(String.format("00B0%04X00", offset)).sw(0x6B00);
        }
    }

    @Test
    void read_binary_by_short_id_makes_the_file_current() {
        issued.select();
        assertArrayEquals(Arrays.copyOfRange(ca, 255, 259), issued.send("00B082FF04").ok().data());
        assertArrayEquals(Arrays.copyOfRange(ca, 256, 260), issued.send("00B0010004").ok().data());
    }

    @ParameterizedTest
    @CsvSource({"00B08300 04, 6A82", "00B09F0004, 6A82", "00B0A20004, 6A86", "00B0C20004, 6A86", "00B0FF0004, 6A86",
        "00B0970004, 6981", "00B0980004, 6981", "00B09A0004, 6981", "00B09B0004, 6981", "00B08200, 6700",
        "00B0820002 AABB, 6700", "80B0820004, 6D00", "04B0820004, 6982", "0CB0820004, 6E00"})
    void read_binary_edges(String command, String sw) {
        issued.send(command).sw(Integer.parseInt(sw, 16), command);
    }

    @Test
    void short_id_zero_means_the_current_ef() {
        issued.selectEf(0x02).ok();
        assertArrayEquals(Arrays.copyOfRange(ca, 5, 9), issued.send("00B0800504").ok().data());
    }

    /** Section 9, 6. */
    @Test
    void the_signature_certificate_is_selected_freely_and_read_after_the_password_only() {
        issued.select();
        issued.selectEf(0x01).ok();
        issued.send("00B0000004").sw(0x6982);
        issued.verify(TestCard.AUTH).ok();
        issued.send("00B0000004").sw(0x6982, "the PIN is not the password");
        issued.verify(TestCard.SIGN).ok();
        issued.send("00B0000004").ok();
    }

    /** Section 8: on the phone the authentication certificate is behind the PIN. */
    @Test
    void the_authentication_certificate_is_read_after_the_pin_only() {
        issued.select();
        issued.read(0x0A, 0, 4).sw(0x6982);
        issued.verify(TestCard.SIGN).ok();
        issued.read(0x0A, 0, 4).sw(0x6982, "the password is not the PIN");
        issued.verify(TestCard.AUTH).ok();
        issued.read(0x0A, 0, 4).ok();
    }

    @Test
    void the_policy_bit_frees_the_authentication_certificate_alone() {
        TestCard card = TestCard.active("820101");
        card.read(0x0A, 0, 4).ok();
        card.read(0x01, 0, 4).sw(0x6982);
    }

    @Test
    void ef_0008_tells_which_certificates_can_be_read() {
        TestCard card = TestCard.installed();
        card.read(0x08, 0, 0).is("000000");
        card.bring(TestCard.AUTH, JpkiKey.CERTIFIED);
        card.read(0x08, 0, 0).is("008F00");
        card.bring(TestCard.SIGN, JpkiKey.REVOKED);
        card.read(0x08, 0, 0).is("008F00");
        card.read(0x08, 1, 1).is("8F");
        card.read(0x08, 3, 1).sw(0x6B00);
    }

    @Test
    void a_file_that_was_never_written_is_6a82() {
        TestCard card = TestCard.installed();
        for (int ef : new int[] {0x01, 0x02, 0x0A, 0x0B}) {
            card.selectEf(ef).ok();
            card.send("00B0000004").sw(0x6A82);
        }
    }
}
