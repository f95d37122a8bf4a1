package jp.jpkise.sim.host;

import java.io.IOException;
import java.io.InputStream;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** The class files of a package as the class loader has them: what runs when the package's applets run. */
final class ClassFiles {
    private ClassFiles() {
    }

    /**
     * Reads them from where the first applet's class comes from.
     *
     * @return content by file name
     */
    static Map<String, byte[]> of(RomPackage named) throws IOException {
        String folder = named.packageName().replace('.', '/');
        Path source = source(named.modules().values().iterator().next());
        if (Files.isDirectory(source)) {
            return read(source.resolve(folder));
        }
        try (FileSystem jar = FileSystems.newFileSystem(source)) {
            return read(jar.getPath("/" + folder));
        }
    }

    private static Path source(String applet) throws IOException {
        try {
            CodeSource source = Class.forName(applet).getProtectionDomain().getCodeSource();
            return Path.of(source.getLocation().toURI());
        } catch (ClassNotFoundException | URISyntaxException e) {
            throw new IOException("the list of packages names a class that is not there", e);
        }
    }

    private static Map<String, byte[]> read(Path folder) throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        try (Stream<Path> entries = Files.list(folder)) {
            for (Path entry : (Iterable<Path>) entries::iterator) {
                String name = entry.getFileName().toString();
                if (name.endsWith(".class") && !name.equals("package-info.class")) {
                    try (InputStream content = Files.newInputStream(entry)) {
                        files.put(name, content.readAllBytes());
                    }
                }
            }
        }
        return files;
    }
}
