package jp.jpkise.sim;

import com.licel.jcardsim.base.ApduCase;
import com.licel.jcardsim.base.SimulatorRuntime;
import com.licel.jcardsim.base.SimulatorSystem;
import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.Objects;
import javacard.framework.AID;
import javacard.framework.APDU;
import javacard.framework.Applet;

/**
 * One simulated card: jCardSim's runtime with the gaps closed that an applet of ours would fall into.
 *
 * <ul>
 *   <li>The APDU buffer has a size a card has (jCardSim's 260 bytes cannot hold a case 4 command with Lc = FF).
 *   <li>A malformed command answers 6700 (jCardSim throws).
 *   <li>SELECT by name finds an applet only by an AID of 5 to 16 bytes, whole or in part (jCardSim throws from 128 bytes
 *       on, and takes a SELECT without a name for its first applet).
 *   <li>{@code GPSystem} reaches this card's own {@link GpProvider}, so cards do not disturb one another.
 *   <li>{@code RandomData} is random (jCardSim's is the same on every card), unless the process sets jCardSim's seed.
 *   <li>Transient arrays that nobody uses any more do not pile up, and are counted: see {@link CardMemory}.
 * </ul>
 *
 * <p>Not closed, because an interpreter of class files cannot: transactions roll nothing back, there is no firewall,
 * and deselection clears the CLEAR_ON_DESELECT arrays of every applet of the card.
 */
public class CardRuntime extends SimulatorRuntime {
    /** Header, 255 bytes of data, Le: what a short case 4 command can need. */
    public static final int FULL_APDU_BUFFER = 261;
    /** The least a card may have (Java Card API, class APDU). */
    public static final int SMALLEST_APDU_BUFFER = 133;

    private static final String RANDOM_SEED = "com.licel.jcardsim.randomdata.seed";
    private static final String RANDOM_SECURE = "com.licel.jcardsim.randomdata.secure";

    static {
        // Without either property jCardSim's RandomData gives the same bytes on every card.
        if (System.getProperty(RANDOM_SEED) == null && System.getProperty(RANDOM_SECURE) == null) {
            System.setProperty(RANDOM_SECURE, "1");
        }
    }

    private static final byte[] WRONG_LENGTH = {0x67, 0x00};

    private GpProvider provider;

    public CardRuntime(GpProvider provider) {
        super(new CardMemory());
        this.provider = Objects.requireNonNull(provider);
        resizeApduBuffer(FULL_APDU_BUFFER);
    }

    /**
     * @return the card on which the calling thread runs an applet
     * @throws IllegalStateException outside of one
     */
    public static CardRuntime running() {
        if (SimulatorSystem.instance() instanceof CardRuntime card) {
            return card;
        }
        throw new IllegalStateException("GPSystem was called outside of a CardRuntime");
    }

    public GpProvider provider() {
        return provider;
    }

    public void setProvider(GpProvider provider) {
        this.provider = Objects.requireNonNull(provider);
    }

    public CardMemory memory() {
        return (CardMemory) getTransientMemory();
    }

    /**
     * Gives the short APDU a buffer of that many bytes. jCardSim writes the whole command into it at once, so a size
     * below {@link #FULL_APDU_BUFFER} is for commands that fit.
     */
    public final void resizeApduBuffer(int size) {
        try {
            Field buffer = APDU.class.getDeclaredField("buffer");
            buffer.setAccessible(true);
            buffer.set(shortAPDU, new byte[size]);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("jCardSim's APDU has changed", e);
        }
    }

    /** What the last command left in the buffer of short APDUs. */
    public byte[] apduBuffer() {
        return shortAPDU.getBuffer().clone();
    }

    /**
     * Installs an applet as INSTALL [for install and make selectable] does.
     *
     * @param aid the instance's AID
     * @param parameters the value of tag C9, may be empty
     * @throws javacard.framework.ISOException as the applet threw it
     * @throws javacard.framework.SystemException when it threw anything else or did not register
     */
    public void install(Class<? extends Applet> applet, byte[] aid, byte[] privileges, byte[] parameters) {
        byte[] array = new byte[3 + aid.length + privileges.length + parameters.length];
        int end = putLv(array, 0, aid);
        end = putLv(array, end, privileges);
        end = putLv(array, end, parameters);
        AID instance = new AID(aid, (short) 0, (byte) aid.length);
        loadApplet(instance, applet);
        installApplet(instance, array, (short) 0, (byte) end);
    }

    private static int putLv(byte[] array, int offset, byte[] value) {
        array[offset] = (byte) value.length;
        System.arraycopy(value, 0, array, offset + 1, value.length);
        return offset + 1 + value.length;
    }

    @Override
    public byte[] transmitCommand(byte[] command) {
        if (!isWellFormed(command)) {
            return WRONG_LENGTH.clone();
        }
        return super.transmitCommand(command);
    }

    @Override
    protected AID findAppletForSelectApdu(byte[] command, ApduCase apduCase) {
        if (command.length < 5 || command[4] < 5 || command[4] > 16) {
            return null;
        }
        return super.findAppletForSelectApdu(command, apduCase);
    }

    /** Takes the instance from the card; its {@code uninstall()} is called. */
    public void delete(byte[] aid) {
        AID instance = new AID(aid, (short) 0, (byte) aid.length);
        deleteApplet(instance);
        AID loadFile = generatedLoadFileAIDs.remove(instance);
        if (loadFile != null) {
            loadFiles.remove(loadFile);
        }
    }

    /** Whether jCardSim can sort the command into one of the seven cases of ISO/IEC 7816-3. */
    private static boolean isWellFormed(byte[] command) {
        if (command.length < 4) {
            return false;
        }
        if (command.length <= 5) {
            return true;
        }
        int lc = command[4] & 0xFF;
        if (lc != 0) {
            return command.length == 5 + lc || command.length == 6 + lc;
        }
        if (command.length == 7) {
            return true;
        }
        if (command.length < 7) {
            return false;
        }
        int extended = (command[5] & 0xFF) << 8 | command[6] & 0xFF;
        // jCardSim reads the length as a signed short.
        return extended != 0 && extended <= Short.MAX_VALUE
                && (command.length == 7 + extended || command.length == 9 + extended);
    }

    @Override
    public String toString() {
        return "CardRuntime" + Arrays.toString(applets.keySet().toArray());
    }
}
