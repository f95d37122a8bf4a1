package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;
import org.objectweb.asm.tree.AbstractInsnNode;
import org.objectweb.asm.tree.ClassNode;
import org.objectweb.asm.tree.FieldInsnNode;
import org.objectweb.asm.tree.FieldNode;
import org.objectweb.asm.tree.IincInsnNode;
import org.objectweb.asm.tree.IntInsnNode;
import org.objectweb.asm.tree.LdcInsnNode;
import org.objectweb.asm.tree.MethodInsnNode;
import org.objectweb.asm.tree.MethodNode;
import org.objectweb.asm.tree.TypeInsnNode;

/**
 * The applet's class files stay in the Java Card subset without int, and create nothing outside of installation. This
 * finds what is cheap to find; types and overflow of intermediate values are the converter's business.
 */
class SubsetTest {
    private static final Set<String> ALLOWED_PACKAGES = Set.of("java/lang", "javacard/framework", "javacard/security",
            "javacardx/crypto", "org/globalplatform", "jp/jpkise/jpki");
    private static final Set<String> CREATORS = Set.of("makeTransientByteArray", "makeTransientShortArray",
            "makeTransientBooleanArray", "makeTransientObjectArray", "getInstance", "buildKey");
    /** Opcodes of long, float, double and int arrays, and those without a counterpart. */
    private static final Set<Integer> FORBIDDEN = Set.of(
            Opcodes.LCONST_0, Opcodes.LCONST_1, Opcodes.FCONST_0, Opcodes.DCONST_0, Opcodes.LLOAD, Opcodes.FLOAD,
            Opcodes.DLOAD, Opcodes.LSTORE, Opcodes.FSTORE, Opcodes.DSTORE, Opcodes.IALOAD, Opcodes.LALOAD, Opcodes.FALOAD,
            Opcodes.DALOAD, Opcodes.CALOAD, Opcodes.IASTORE, Opcodes.LASTORE, Opcodes.FASTORE, Opcodes.DASTORE,
            Opcodes.CASTORE, Opcodes.I2L, Opcodes.I2F, Opcodes.I2D, Opcodes.I2C, Opcodes.MONITORENTER,
            Opcodes.MONITOREXIT, Opcodes.INVOKEDYNAMIC, Opcodes.MULTIANEWARRAY, Opcodes.JSR, Opcodes.RET);

    private final Set<String> found = new TreeSet<>();

    @Test
    void the_applet_stays_in_the_subset() throws Exception {
        List<ClassNode> classes = classes();
        assertTrue(classes.size() > 10, "the classes were found");
        for (ClassNode node : classes) {
            check(node);
        }
        assertTrue(found.isEmpty(), String.join("\n", found));
    }

    private static List<ClassNode> classes() throws Exception {
        URI location = JpkiApplet.class.getProtectionDomain().getCodeSource().getLocation().toURI();
        Path path = Path.of(location);
        if (Files.isDirectory(path)) {
            return read(path);
        }
        try (FileSystem jar = FileSystems.newFileSystem(path, Map.of())) {
            return read(jar.getPath("/"));
        }
    }

    private static List<ClassNode> read(Path root) throws IOException {
        List<ClassNode> nodes = new ArrayList<>();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".class")).toList()) {
                try (InputStream in = Files.newInputStream(file)) {
                    ClassNode node = new ClassNode();
                    new ClassReader(in).accept(node, 0);
                    if (!node.name.endsWith("package-info")) {
                        nodes.add(node);
                    }
                }
            }
        }
        return nodes;
    }

    private void check(ClassNode node) {
        if ((node.version & 0xFFFF) > Opcodes.V1_8) {
            found.add(node.name + ": class file version " + node.version);
        }
        if ((node.access & (Opcodes.ACC_ENUM | Opcodes.ACC_ANNOTATION)) != 0 || node.outerMethod != null
                || !node.innerClasses.isEmpty()) {
            found.add(node.name + ": an enum, annotation or inner class");
        }
        for (FieldNode field : node.fields) {
            boolean constant = field.value != null;
            if (!isAllowed(Type.getType(field.desc)) && !constant) {
                found.add(node.name + "." + field.name + ": type " + field.desc);
            }
            if ((field.access & Opcodes.ACC_STATIC) != 0 && (field.access & Opcodes.ACC_FINAL) == 0) {
                found.add(node.name + "." + field.name + ": mutable static state");
            }
        }
        for (MethodNode method : node.methods) {
            check(node, method);
        }
    }

    private void check(ClassNode node, MethodNode method) {
        String where = node.name + "." + method.name + ": ";
        if ((method.access & (Opcodes.ACC_SYNCHRONIZED | Opcodes.ACC_NATIVE | Opcodes.ACC_SYNTHETIC)) != 0) {
            found.add(where + "synchronized, native or synthetic");
        }
        Type type = Type.getMethodType(method.desc);
        if (!isAllowed(type.getReturnType()) || !Stream.of(type.getArgumentTypes()).allMatch(SubsetTest::isAllowed)) {
            found.add(where + "signature " + method.desc);
        }
        boolean creating = method.name.equals("<init>") || method.name.equals("<clinit>") || method.name.equals("install");
        for (AbstractInsnNode instruction : method.instructions) {
            check(where, creating, instruction);
        }
    }

    private void check(String where, boolean creating, AbstractInsnNode instruction) {
        int opcode = instruction.getOpcode();
        if (FORBIDDEN.contains(opcode)) {
            found.add(where + "opcode " + opcode);
        }
        if (instruction instanceof LdcInsnNode load
                && !(load.cst instanceof Integer value && value == value.shortValue())) {
            found.add(where + "constant " + load.cst);
        }
        if (instruction instanceof IincInsnNode) {
            found.add(where + "an int local is counted: declare it short");
        }
        if (!creating && (opcode == Opcodes.NEW || opcode == Opcodes.NEWARRAY || opcode == Opcodes.ANEWARRAY)) {
            found.add(where + "something is created after installation");
        }
        if (instruction instanceof IntInsnNode array && opcode == Opcodes.NEWARRAY
                && array.operand != Opcodes.T_BYTE && array.operand != Opcodes.T_SHORT) {
            found.add(where + "array type " + array.operand);
        }
        if (instruction instanceof TypeInsnNode use) {
            checkOwner(where, use.desc);
        }
        if (instruction instanceof FieldInsnNode field) {
            checkOwner(where, field.owner);
        }
        if (instruction instanceof MethodInsnNode call) {
            checkOwner(where, call.owner);
            if (!creating && CREATORS.contains(call.name)) {
                found.add(where + call.name + " after installation");
            }
        }
    }

    private void checkOwner(String where, String owner) {
        if (owner.startsWith("[")) {
            return;
        }
        String name = owner.substring(0, Math.max(0, owner.lastIndexOf('/')));
        if (!ALLOWED_PACKAGES.contains(name) || name.equals("java/lang") && !owner.equals("java/lang/Object")) {
            found.add(where + "uses " + owner);
        }
    }

    private static boolean isAllowed(Type type) {
        return switch (type.getSort()) {
            case Type.VOID, Type.BOOLEAN, Type.BYTE, Type.SHORT -> true;
            case Type.OBJECT -> !type.getInternalName().equals("java/lang/String");
            case Type.ARRAY -> type.getDimensions() == 1 && isAllowed(type.getElementType());
            default -> false;
        };
    }
}
