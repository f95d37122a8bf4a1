package jp.jpkise.sim.host;

import com.licel.jcardsim.base.ApduCase;
import com.licel.jcardsim.base.LoadFile;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javacard.framework.AID;
import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.MultiSelectable;
import javacardx.apdu.ExtendedLength;
import jp.jpkise.sim.CardRuntime;
import jp.jpkise.sim.GpProvider;
import org.globalplatform.Application;

/**
 * A card whose manager lives elsewhere: selection and routing are decided by the host, jCardSim only runs applets.
 *
 * <p>jCardSim has one selected applet; so this card can serve another channel only with the same, multiselectable
 * instance and answers 6881 otherwise.
 */
final class HostedCard extends CardRuntime {
    private static final short SW_APPLET_SELECT_FAILED = ISO7816.SW_APPLET_SELECT_FAILED;
    private static final short SW_FUNCTION_NOT_SUPPORTED = ISO7816.SW_FUNC_NOT_SUPPORTED;
    private static final byte PROTOCOL_CONTACT = APDU.PROTOCOL_T1;
    private static final byte PROTOCOL_CONTACTLESS =
            (byte) (APDU.PROTOCOL_T1 | APDU.PROTOCOL_MEDIA_CONTACTLESS_TYPE_A);

    private final List<RomPackage> packages;
    /** What is selected, by channel; all of it one instance. */
    private final Map<Integer, AID> selected = new HashMap<>();
    private int loadFileCount;
    private boolean hostSelecting;
    private int channel;

    HostedCard(GpProvider provider, List<RomPackage> packages) {
        super(provider);
        this.packages = packages;
    }

    /** @return the channel of the command under way */
    int channel() {
        return channel;
    }

    /** Runs {@code install()}; whatever fails leaves no instance. */
    void install(byte[] packageAid, byte[] module, byte[] instance, byte[] privileges, byte[] parameters) {
        Class<? extends Applet> applet = appletClass(packageAid, module);
        AID aid = aid(instance);
        // A name of our own for each load file: jCardSim's counter gives names again after a deletion.
        int number = loadFileCount++;
        AID loadFile = aid(new byte[] {(byte) 0xF0, 0, 0, (byte) (number >> 16), (byte) (number >> 8), (byte) number});
        loadLoadFile(new LoadFile(loadFile, aid(module), applet));
        List<AID> before = List.copyOf(applets.keySet());
        byte[] array = installArray(instance, privileges, parameters);
        AID running = currentAID;
        try {
            // JCSystem.getAID() is the new instance's from register() on; jCardSim asks the current applet for it.
            currentAID = aid;
            installApplet(loadFile, aid(module), aid, array, (short) 0, (byte) array.length);
            if (!applets.containsKey(aid) || applets.size() != before.size() + 1) {
                throw new ISOException(ISO7816.SW_CONDITIONS_NOT_SATISFIED);
            }
        } catch (Throwable failure) {
            applets.keySet().retainAll(before);
            throw failure;
        } finally {
            currentAID = running;
            transactionDepth = 0;
            loadFiles.remove(loadFile);
        }
    }

    private static byte[] installArray(byte[]... values) {
        int length = values.length;
        for (byte[] value : values) {
            length += value.length;
        }
        byte[] array = new byte[length];
        int at = 0;
        for (byte[] value : values) {
            array[at++] = (byte) value.length;
            System.arraycopy(value, 0, array, at, value.length);
            at += value.length;
        }
        if (length > 255) {
            ISOException.throwIt(ISO7816.SW_WRONG_DATA);
        }
        return array;
    }

    private Class<? extends Applet> appletClass(byte[] packageAid, byte[] module) {
        String name = packages.stream().filter(p -> Arrays.equals(p.aid(), packageAid)).findFirst()
                .map(p -> p.modules().get(HexFormat.of().withUpperCase().formatHex(module)))
                .orElseThrow(() -> new ISOException((short) 0x6A88));
        try {
            return Class.forName(name).asSubclass(Applet.class);
        } catch (ClassNotFoundException e) {
            throw new IllegalStateException("the list of packages names a class that is not there", e);
        }
    }

    /** @return what the applet's {@code select()} returned; anything it throws counts as false */
    boolean select(int onChannel, byte[] instance, boolean contactless) {
        AID aid = aid(instance);
        Applet applet = requireApplet(aid);
        boolean others = !selected.isEmpty();
        if (others && !selected.containsValue(aid)) {
            ISOException.throwIt(ISO7816.SW_LOGICAL_CHANNEL_NOT_SUPPORTED);
        }
        if (others && !(applet instanceof MultiSelectable)) {
            ISOException.throwIt(ISO7816.SW_CONDITIONS_NOT_SATISFIED);
        }
        enter(onChannel, aid, contactless);
        hostSelecting = true;
        boolean accepted = false;
        try {
            accepted = applet instanceof MultiSelectable multi && others ? multi.select(true) : applet.select();
        } catch (Throwable thrown) {
            report("select", thrown);
        }
        abortOpenTransaction();
        if (accepted) {
            selected.put(onChannel, aid);
        } else {
            hostSelecting = false;
            if (!others) {
                currentAID = null;
                clearDeselected();
            }
        }
        return accepted;
    }

    void deselect(int onChannel) {
        AID aid = selected.remove(onChannel);
        if (aid == null) {
            return;
        }
        channel = onChannel;
        currentAID = aid;
        activateSimulatorRuntimeInstance();
        boolean stillActive = !selected.isEmpty();
        Applet applet = getApplet(aid);
        try {
            if (stillActive && applet instanceof MultiSelectable multi) {
                multi.deselect(true);
            } else if (applet != null) {
                applet.deselect();
            }
        } catch (Throwable thrown) {
            report("deselect", thrown);
        }
        abortOpenTransaction();
        if (!stillActive) {
            clearDeselected();
            currentAID = null;
        }
    }

    /** Runs one command in what is selected on the channel. */
    byte[] process(int onChannel, byte[] command, boolean contactless, boolean selecting) {
        AID aid = selected.get(onChannel);
        if (aid == null) {
            return status(SW_APPLET_SELECT_FAILED);
        }
        enter(onChannel, aid, contactless);
        Applet applet = requireApplet(aid);
        ApduCase apduCase = caseOf(command);
        if (apduCase == null || apduCase.isExtended() && !(applet instanceof ExtendedLength)) {
            return status(ISO7816.SW_WRONG_LENGTH);
        }
        usingExtendedAPDUs = apduCase.isExtended();
        responseBufferSize = 0;
        hostSelecting = selecting;
        APDU apdu = getCurrentAPDU();
        short sw = ISO7816.SW_NO_ERROR;
        try {
            resetAPDU(apdu, apduCase, command);
            applet.process(apdu);
        } catch (ISOException thrown) {
            sw = thrown.getReason();
        } catch (Throwable thrown) {
            report("process", thrown);
            sw = ISO7816.SW_UNKNOWN;
        } finally {
            hostSelecting = false;
            abortOpenTransaction();
            resetAPDU(apdu, null, null);
        }
        byte[] answer = answer(sw);
        Arrays.fill(responseBuffer, 0, responseBufferSize, (byte) 0);
        return answer;
    }

    /** @return null where jCardSim would throw: lengths that do not add up, or more than it can count */
    private static ApduCase caseOf(byte[] command) {
        try {
            ApduCase apduCase = ApduCase.getCase(command);
            return apduCase.isExtended() && command.length > Short.MAX_VALUE ? null : apduCase;
        } catch (RuntimeException malformed) {
            return null;
        }
    }

    private byte[] answer(short sw) {
        int first = sw >> 8 & 0xFF;
        // An applet that throws an error after it has sent data has its data dropped, as on a card with T=1.
        int length = first == 0x61 || first == 0x62 || first == 0x63 || first >= 0x90 && first <= 0x9F
                ? responseBufferSize : 0;
        byte[] answer = Arrays.copyOf(responseBuffer, length + 2);
        answer[length] = (byte) (sw >> 8);
        answer[length + 1] = (byte) sw;
        return answer;
    }

    boolean acceptsData(byte[] instance) {
        return requireApplet(aid(instance)) instanceof Application;
    }

    /** Hands a STORE DATA command to {@code processData}. The interface gives no answer data. */
    void personalize(int onChannel, byte[] instance, byte[] command) {
        AID aid = aid(instance);
        if (!(requireApplet(aid) instanceof Application application)) {
            throw new ISOException(SW_FUNCTION_NOT_SUPPORTED);
        }
        AID running = currentAID;
        int runningOn = channel;
        try {
            enter(onChannel, aid, false);
            application.processData(command, (short) 0, (short) command.length);
        } finally {
            abortOpenTransaction();
            currentAID = running;
            channel = runningOn;
        }
    }

    void delete(List<byte[]> instances) {
        for (byte[] instance : instances) {
            AID aid = aid(instance);
            requireApplet(aid);
            currentAID = aid;
            try {
                deleteApplet(aid);
            } finally {
                currentAID = null;
            }
        }
    }

    /** Drops every instance that the host's registry does not name. */
    void keepOnly(List<byte[]> instances) {
        List<AID> kept = instances.stream().map(HostedCard::aid).toList();
        applets.keySet().removeIf(aid -> !kept.contains(aid));
    }

    /** Power off and on. */
    void powerCycle() {
        selected.clear();
        hostSelecting = false;
        channel = 0;
        reset();
    }

    @Override
    public boolean isAppletSelecting(Object applet) {
        return hostSelecting && applet == getApplet(currentAID);
    }

    private void enter(int onChannel, AID aid, boolean contactless) {
        channel = onChannel;
        currentAID = aid;
        changeProtocol(contactless ? PROTOCOL_CONTACTLESS : PROTOCOL_CONTACT);
        activateSimulatorRuntimeInstance();
    }

    private Applet requireApplet(AID aid) {
        Applet applet = getApplet(aid);
        if (applet == null) {
            throw new IllegalStateException("no instance " + aid);
        }
        return applet;
    }

    /** jCardSim rolls nothing back, but an open transaction must not reach into the next command. */
    private void abortOpenTransaction() {
        transactionDepth = 0;
    }

    private void clearDeselected() {
        // Without an instance jCardSim's method only clears the arrays.
        deselect((ApplicationInstance) null);
    }

    private static void report(String where, Throwable thrown) {
        System.err.println("applet threw in " + where + "()");
        thrown.printStackTrace();
    }

    private static byte[] status(short sw) {
        return new byte[] {(byte) (sw >> 8), (byte) sw};
    }

    private static AID aid(byte[] bytes) {
        return new AID(bytes, (short) 0, (byte) bytes.length);
    }
}
