package jp.jpkise.sim.host;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.SystemException;

/** Carries out the host's requests, one after the other. */
final class Host {
    private static final byte[] NOTHING = {};
    private static final short SW_REFERENCED_DATA_NOT_FOUND = 0x6A88;

    private final Link link;
    private final List<RomPackage> packages;
    private final HostedCard card;

    Host(Link link) throws IOException {
        this.link = link;
        this.packages = RomPackage.all();
        Services services = new Services(link);
        this.card = new HostedCard(services, packages);
        services.serve(card);
    }

    /** Returns when the host has closed the stream. */
    void serve() throws IOException {
        Fields request = link.receive();
        while (request != null) {
            link.send(answer(request));
            request = link.receive();
        }
    }

    private Frame answer(Fields request) throws IOException {
        try {
            return request.type() == Link.HELLO ? hello(request) : done(carryOut(request));
        } catch (UncheckedIOException lost) {
            throw lost.getCause();
        } catch (ISOException refused) {
            return new Frame(Link.REFUSED).word(refused.getReason());
        } catch (SystemException refused) {
            refused.printStackTrace();
            return new Frame(Link.REFUSED).word(ISO7816.SW_UNKNOWN);
        } catch (RuntimeException | Error fault) {
            fault.printStackTrace();
            return new Frame(Link.REFUSED).word(ISO7816.SW_UNKNOWN);
        }
    }

    private Frame hello(Fields request) throws IOException {
        int version = request.word();
        if (version != Link.VERSION) {
            System.err.println("the host speaks version " + version + " of the protocol, this is " + Link.VERSION);
        }
        Frame frame = new Frame(Link.ANSWER_HELLO).word(Link.VERSION).octet(packages.size());
        for (RomPackage p : packages) {
            frame.string(p.aid()).octet(p.major()).octet(p.minor());
            frame.list(p.modules().keySet().stream().map(HexFormat.of()::parseHex).toList());
        }
        return frame;
    }

    private byte[] carryOut(Fields request) throws IOException {
        switch (request.type()) {
            case Link.INSTALL -> card.install(request.string(), request.string(), request.string(),
                    request.string(), request.string());
            case Link.SELECT -> {
                int channel = request.octet();
                boolean contactless = request.octet() != 0;
                return flag(card.select(channel, request.string(), contactless));
            }
            case Link.DESELECT -> card.deselect(request.octet());
            case Link.PROCESS -> {
                int channel = request.octet();
                boolean contactless = request.octet() != 0;
                boolean selecting = request.octet() != 0;
                return card.process(channel, request.string(), contactless, selecting);
            }
            case Link.ACCEPTS -> {
                return flag(card.acceptsData(request.string()));
            }
            case Link.PERSONALIZE -> card.personalize(request.octet(), request.string(), request.string());
            case Link.DELETE -> card.delete(request.list());
            case Link.SETTLE -> card.keepOnly(request.list());
            case Link.RESET -> card.powerCycle();
            case Link.CLASSES -> {
                return classes(request.string());
            }
            default -> throw new IOException("request " + Integer.toHexString(request.type()));
        }
        return NOTHING;
    }

    private byte[] classes(byte[] aid) throws IOException {
        RomPackage named = packages.stream().filter(p -> Arrays.equals(p.aid(), aid)).findFirst()
                .orElseThrow(() -> new ISOException(SW_REFERENCED_DATA_NOT_FOUND));
        Map<String, byte[]> files = ClassFiles.of(named);
        Frame frame = new Frame(Link.DONE).string(named.packageName().getBytes(StandardCharsets.UTF_8));
        frame.list(named.modules().values().stream().map(name -> name.getBytes(StandardCharsets.UTF_8)).toList());
        frame.word(files.size());
        files.forEach((name, content) -> frame.string(name.getBytes(StandardCharsets.UTF_8)).string(content));
        return frame.fields();
    }

    private static byte[] flag(boolean value) {
        return new byte[] {(byte) (value ? 1 : 0)};
    }

    private static Frame done(byte[] result) {
        return new Frame(Link.DONE).string(result);
    }
}
