package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Finds the user's code and tells what it is. docs/guides/writing-functions.md has the rules. */
final class Loader {
  private static final int CLASSES_MAX = 500; // more than these are not searched for a handler
  private static final String METHOD = "handleRequest";

  private final String handler = env("_HANDLER").trim();
  private final Path root = Path.of(env("LAMBDA_TASK_ROOT").isEmpty() ? "." : env("LAMBDA_TASK_ROOT"));
  private final List<Path> code = new ArrayList<>(); // of the user's own: the folder, and jars at its top
  private ClassLoader loader;

  private static String env(String name) {
    String value = System.getenv(name);
    return value == null ? "" : value;
  }

  static int concurrency() {
    try {
      return Math.max(0, Integer.parseInt(env("MAYFLY_CONCURRENCY")));
    } catch (NumberFormatException error) {
      return 0;
    }
  }

  App load() throws Errors.InitError {
    loader = new URLClassLoader("function", classPath(), Loader.class.getClassLoader());
    Thread.currentThread().setContextClassLoader(loader);
    if (!handler.isEmpty()) return named();
    List<String> found = search();
    if (found.size() == 1) return app(classOf(found.get(0)), METHOD, found.get(0) + "::" + METHOD);
    throw new Errors.InitError("HandlerNotFound",
        (found.isEmpty() ? "No class with a method " + METHOD + " found in the package"
            : "Several classes have a method " + METHOD + ": " + String.join(", ", found))
            + "; name the handler, as in --handler package.Class::method");
  }

  private URL[] classPath() {
    List<Path> entries = new ArrayList<>();
    code.add(root);
    jars(root).forEach(code::add);
    entries.addAll(code);
    entries.addAll(jars(root.resolve("lib")));
    entries.addAll(jars(Path.of("/opt/java/lib")));
    return entries.stream().map(Loader::url).toArray(URL[]::new);
  }

  private static List<Path> jars(Path folder) {
    File[] files = folder.toFile().listFiles((where, name) -> name.endsWith(".jar"));
    return files == null ? List.of() : Arrays.stream(files).sorted().map(File::toPath).collect(Collectors.toList());
  }

  private static URL url(Path path) {
    try {
      return path.toUri().toURL();
    } catch (MalformedURLException error) {
      throw new IllegalArgumentException(error);
    }
  }

  private App named() throws Errors.InitError {
    int colons = handler.indexOf("::");
    String type = colons < 0 ? handler : handler.substring(0, colons);
    String method = colons < 0 ? METHOD : handler.substring(colons + 2);
    for (String extension : new String[] {".java", ".class", ".jar"})
      if (colons < 0 && type.endsWith(extension)) type = type.substring(0, type.length() - extension.length());
    type = type.replace('/', '.');
    if (type.isEmpty() || method.isEmpty() || !type.matches("[\\w$.]+"))
      throw new Errors.InitError("MalformedHandlerName",
          "Bad handler '" + handler + "': expected package.Class::method or package.Class");
    return app(classOf(type), method, type + "::" + method);
  }

  private Class<?> classOf(String name) throws Errors.InitError {
    try {
      return Class.forName(name, true, loader);
    } catch (ClassNotFoundException error) {
      throw new Errors.InitError("ImportModuleError", "Class not found: " + error.getMessage());
    } catch (NoClassDefFoundError | UnsupportedClassVersionError error) {
      throw new Errors.InitError("ImportModuleError", "Class " + name + " cannot be loaded: " + error.getMessage());
    } catch (ExceptionInInitializerError error) {
      throw new Errors.InitError(Errors.describe(error.getCause() == null ? error : error.getCause()));
    } catch (LinkageError error) {
      throw new Errors.InitError(Errors.describe(error));
    }
  }

  // ---- search

  private List<String> search() throws Errors.InitError {
    List<String> names = new ArrayList<>();
    for (Path path : code) names.addAll(Files.isDirectory(path) ? classesIn(path) : classesOf(path));
    if (names.size() > CLASSES_MAX) return List.of();
    List<String> found = new ArrayList<>();
    for (String name : names)
      try {
        Class<?> type = Class.forName(name, false, loader);
        boolean plain = !type.isInterface() && !Modifier.isAbstract(type.getModifiers());
        if (plain && (isHandler(type) || method(type, METHOD) != null)) found.add(name);
      } catch (ClassNotFoundException | LinkageError error) {
        // one that needs what is not there is no handler
      }
    return found;
  }

  private static boolean isHandler(Class<?> type) {
    return RequestHandler.class.isAssignableFrom(type) || RequestStreamHandler.class.isAssignableFrom(type);
  }

  private static List<String> classesIn(Path folder) {
    try (Stream<Path> files = Files.walk(folder, 16)) {
      return files.map(file -> folder.relativize(file).toString()).filter(Loader::isClass).limit(CLASSES_MAX + 1)
          .map(Loader::className).sorted().collect(Collectors.toList());
    } catch (IOException error) {
      return List.of();
    }
  }

  private static List<String> classesOf(Path jar) {
    try (JarFile file = new JarFile(jar.toFile())) {
      return file.stream().map(entry -> entry.getName()).filter(Loader::isClass).limit(CLASSES_MAX + 1)
          .map(Loader::className).sorted().collect(Collectors.toList());
    } catch (IOException error) {
      return List.of();
    }
  }

  private static boolean isClass(String name) {
    return name.endsWith(".class") && !name.startsWith("META-INF") && !name.contains("-info.") && !name.contains("$");
  }

  private static String className(String file) {
    return file.substring(0, file.length() - ".class".length()).replace('/', '.');
  }

  // ---- what it is

  private App app(Class<?> type, String name, String described) throws Errors.InitError {
    int concurrency = concurrency();
    if (name.equals(METHOD) && RequestStreamHandler.class.isAssignableFrom(type)) {
      RequestStreamHandler target = (RequestStreamHandler) instance(type);
      return new App((event, context) -> written((in, out) -> target.handleRequest(in, out, context), event), described, concurrency);
    }
    if (name.equals(METHOD) && RequestHandler.class.isAssignableFrom(type)) {
      Type input = inputOf(type, RequestHandler.class);
      @SuppressWarnings("unchecked")
      RequestHandler<Object, Object> target = (RequestHandler<Object, Object>) instance(type);
      return new App((event, context) -> target.handleRequest(bind(event, input), context), described, concurrency);
    }
    Method method = method(type, name);
    if (method == null)
      throw new Errors.InitError("HandlerNotFound", "Handler '" + described + "': class " + type.getName() + " has no public method " + name
          + " that takes an event and a Context");
    return new App(plain(type, method), described, concurrency);
  }

  private interface Writer {
    void write(InputStream in, OutputStream out) throws Throwable;
  }

  private static Object written(Writer writer, byte[] event) throws Throwable {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    writer.write(new ByteArrayInputStream(event), out);
    return new App.Written(out.toByteArray());
  }

  /** A public method that is no bridge: the one with the most parameters, of those that fit. */
  private static Method method(Class<?> type, String name) {
    Method best = null;
    for (Method method : type.getMethods()) {
      if (!method.getName().equals(name) || method.isBridge() || method.getDeclaringClass() == Object.class) continue;
      Class<?>[] types = method.getParameterTypes();
      int count = types.length;
      boolean fits = count <= 1 || count == 2 && (Context.class.isAssignableFrom(types[1]) || isStreams(types))
          || count == 3 && isStreams(types) && Context.class.isAssignableFrom(types[2]);
      if (fits && (best == null || count > best.getParameterCount())) best = method;
    }
    return best;
  }

  private static boolean isStreams(Class<?>[] types) {
    return types.length >= 2 && types[0] == InputStream.class && types[1] == OutputStream.class;
  }

  private App.Target plain(Class<?> type, Method method) throws Errors.InitError {
    Object target = Modifier.isStatic(method.getModifiers()) ? null : instance(type);
    method.setAccessible(true);
    Class<?>[] types = method.getParameterTypes();
    Type input = types.length == 0 ? null : method.getGenericParameterTypes()[0];
    if (isStreams(types)) {
      boolean wantsContext = types.length == 3;
      return (event, context) -> written((in, out) -> {
        if (wantsContext) invoke(method, target, in, out, context);
        else invoke(method, target, in, out);
      }, event);
    }
    if (types.length == 0) return (event, context) -> invoke(method, target);
    if (types.length == 2) return (event, context) -> invoke(method, target, bind(event, input), context);
    if (Context.class.isAssignableFrom(types[0])) return (event, context) -> invoke(method, target, context);
    return (event, context) -> invoke(method, target, bind(event, input));
  }

  private static Object invoke(Method method, Object target, Object... arguments) throws Throwable {
    try {
      return method.invoke(target, arguments);
    } catch (InvocationTargetException error) {
      throw error.getCause();
    }
  }

  private static Object bind(byte[] event, Type type) throws App.BadEvent {
    if (type == InputStream.class) return new ByteArrayInputStream(event);
    try {
      return Beans.bind(event.length == 0 ? Map.of() : Json.parse(event), type);
    } catch (Json.Bad | IllegalArgumentException error) {
      throw new App.BadEvent(error.getMessage());
    }
  }

  /** I of the RequestHandler<I, O> that a class implements, itself or by what it extends. */
  private static Type inputOf(Type type, Class<?> wanted) {
    Class<?> raw = Beans.raw(type);
    if (raw == wanted) return type instanceof ParameterizedType ? ((ParameterizedType) type).getActualTypeArguments()[0] : Object.class;
    List<Type> above = new ArrayList<>(Arrays.asList(raw.getGenericInterfaces()));
    if (raw.getGenericSuperclass() != null) above.add(raw.getGenericSuperclass());
    for (Type one : above)
      if (wanted.isAssignableFrom(Beans.raw(one))) return Beans.resolve(inputOf(one, wanted), one == type ? one : type);
    return Object.class;
  }

  private static Object instance(Class<?> type) throws Errors.InitError {
    try {
      Constructor<?> constructor = type.getDeclaredConstructor();
      constructor.setAccessible(true);
      return constructor.newInstance();
    } catch (InvocationTargetException error) {
      throw new Errors.InitError(Errors.describe(error.getCause()));
    } catch (ExceptionInInitializerError error) {
      throw new Errors.InitError(Errors.describe(error.getCause() == null ? error : error.getCause()));
    } catch (ReflectiveOperationException error) {
      throw new Errors.InitError("HandlerNotFound", "Class " + type.getName() + " has no constructor without arguments: " + error);
    }
  }
}
