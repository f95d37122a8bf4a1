package jp.jpkise.sim.host;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A package whose classes are on the class path.
 *
 * @param aid load file AID
 * @param major version
 * @param minor version
 * @param modules name of the applet class by module AID in hexadecimal
 */
record RomPackage(byte[] aid, int major, int minor, Map<String, String> modules) {
    private static final String RESOURCE = "jpkise-packages.txt";

    /** @return name of the Java package, with dots */
    String packageName() {
        String module = modules.values().iterator().next();
        return module.substring(0, module.lastIndexOf('.'));
    }

    /** @return the packages that the class path's lists name, each once: a package may be there as jar and as folder */
    static List<RomPackage> all() throws IOException {
        Map<String, RomPackage> packages = new LinkedHashMap<>();
        for (URL list : (Iterable<URL>) RomPackage.class.getClassLoader().resources(RESOURCE)::iterator) {
            try (BufferedReader lines =
                    new BufferedReader(new InputStreamReader(list.openStream(), StandardCharsets.UTF_8))) {
                lines.lines().filter(line -> !line.isBlank() && !line.startsWith("#"))
                        .map(RomPackage::parse)
                        .forEach(found -> packages.putIfAbsent(HexFormat.of().formatHex(found.aid), found));
            }
        }
        return List.copyOf(packages.values());
    }

    private static RomPackage parse(String line) {
        String[] words = line.trim().split("\\s+");
        String[] version = words[1].split("\\.");
        Map<String, String> modules = new LinkedHashMap<>();
        for (int i = 2; i < words.length; i++) {
            String[] module = words[i].split("=");
            modules.put(module[0], module[1]);
        }
        return new RomPackage(HexFormat.of().parseHex(words[0]), Integer.parseInt(version[0]),
                Integer.parseInt(version[1]), modules);
    }
}
