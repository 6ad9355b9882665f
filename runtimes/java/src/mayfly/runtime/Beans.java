package mayfly.runtime;

import java.lang.annotation.Annotation;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Makes values of the types that a handler names out of parsed JSON, and reads them again: beans
 * (setters, getters, public fields), records, enums, collections. Names are compared without case;
 * Jackson's and Gson's annotations for names are heeded; what a type does not know is left out.
 */
final class Beans {
  private Beans() {}

  /** A value of the type. IllegalArgumentException says why it cannot be. */
  static Object bind(Object value, Type type) {
    Class<?> raw = raw(type);
    if (value == null) return raw.isPrimitive() && raw != void.class ? Array.get(Array.newInstance(raw, 1), 0) : null;
    if (raw == Object.class) return value;
    if (raw == Optional.class) return Optional.ofNullable(bind(value, argument(type, 0)));
    if (Map.class.isAssignableFrom(raw) && value instanceof Map) return map((Map<?, ?>) value, type, raw);
    if (Collection.class.isAssignableFrom(raw) || raw == Iterable.class) return collection(value, type, raw);
    if (raw == byte[].class && value instanceof String) return Base64.getDecoder().decode((String) value);
    if (raw.isArray()) return array(value, type, raw);
    if (value instanceof Map) return bean((Map<?, ?>) value, type, raw);
    if (value instanceof List) throw mismatch(value, raw);
    return scalar(value, raw);
  }

  private static IllegalArgumentException mismatch(Object value, Class<?> type) {
    String what = value instanceof Map ? "an object" : value instanceof List ? "an array" : String.valueOf(value);
    return new IllegalArgumentException("cannot make a " + type.getName() + " of " + what);
  }

  static Class<?> raw(Type type) {
    if (type instanceof Class) return (Class<?>) type;
    if (type instanceof ParameterizedType) return raw(((ParameterizedType) type).getRawType());
    if (type instanceof GenericArrayType)
      return Array.newInstance(raw(((GenericArrayType) type).getGenericComponentType()), 0).getClass();
    if (type instanceof WildcardType) return raw(((WildcardType) type).getUpperBounds()[0]);
    if (type instanceof TypeVariable) return raw(((TypeVariable<?>) type).getBounds()[0]);
    return Object.class;
  }

  private static Type argument(Type type, int index) {
    if (!(type instanceof ParameterizedType)) return Object.class;
    return ((ParameterizedType) type).getActualTypeArguments()[index];
  }

  private static Object scalar(Object value, Class<?> type) {
    String text = String.valueOf(value);
    try {
      if (type == String.class || type == CharSequence.class) return text;
      if (type == boolean.class || type == Boolean.class)
        return value instanceof Boolean ? value : (Object) Boolean.parseBoolean(text);
      if (type == char.class || type == Character.class) return text.charAt(0);
      Object number = number(value, text, type);
      if (number != null) return number;
      if (type == Date.class && value instanceof Number) return new Date(((Number) value).longValue());
      if (type.isEnum()) return constant(type, text);
      return made(value, text, type);
    } catch (NumberFormatException | IndexOutOfBoundsException error) {
      throw mismatch(value, type);
    }
  }

  private static Object number(Object value, String text, Class<?> type) {
    if (type == Number.class) return value instanceof Number ? value : new BigDecimal(text);
    if (type == int.class || type == Integer.class) return new BigDecimal(text).intValue();
    if (type == long.class || type == Long.class) return new BigDecimal(text).longValue();
    if (type == double.class || type == Double.class) return Double.valueOf(text);
    if (type == float.class || type == Float.class) return Float.valueOf(text);
    if (type == short.class || type == Short.class) return new BigDecimal(text).shortValue();
    if (type == byte.class || type == Byte.class) return new BigDecimal(text).byteValue();
    if (type == BigDecimal.class) return new BigDecimal(text);
    if (type == BigInteger.class) return new BigDecimal(text).toBigInteger();
    return null;
  }

  private static Object constant(Class<?> type, String name) {
    for (Object constant : type.getEnumConstants()) if (((Enum<?>) constant).name().equals(name)) return constant;
    for (Object constant : type.getEnumConstants())
      if (((Enum<?>) constant).name().equalsIgnoreCase(name)) return constant;
    throw mismatch(name, type);
  }

  /** By a static parse, valueOf or fromString, or a constructor, that takes text: dates, UUIDs, URIs. */
  private static Object made(Object value, String text, Class<?> type) {
    for (String name : new String[] {"parse", "fromString", "valueOf", "create"})
      for (Method method : type.getMethods()) {
        if (!method.getName().equals(name) || !Modifier.isStatic(method.getModifiers())) continue;
        if (method.getParameterCount() != 1 || !method.getParameterTypes()[0].isAssignableFrom(String.class)) continue;
        if (type.isAssignableFrom(method.getReturnType())) return call(method, null, text);
      }
    for (Constructor<?> constructor : type.getConstructors())
      if (constructor.getParameterCount() == 1 && constructor.getParameterTypes()[0] == String.class)
        return call(constructor, null, text);
    throw mismatch(value, type);
  }

  private static Object call(Executable what, Object target, Object... arguments) {
    try {
      return what instanceof Method
          ? ((Method) what).invoke(target, arguments)
          : ((Constructor<?>) what).newInstance(arguments);
    } catch (InvocationTargetException error) {
      throw new IllegalArgumentException(String.valueOf(error.getCause()), error.getCause());
    } catch (ReflectiveOperationException error) {
      throw new IllegalArgumentException(error.toString(), error);
    }
  }

  private static Map<?, ?> map(Map<?, ?> values, Type type, Class<?> raw) {
    Map<Object, Object> map;
    if (raw.isAssignableFrom(LinkedHashMap.class)) map = new LinkedHashMap<>();
    else if (SortedMap.class.isAssignableFrom(raw) && raw.isAssignableFrom(TreeMap.class)) map = new TreeMap<>();
    else map = cast(create(raw));
    boolean typed = type instanceof ParameterizedType && ((ParameterizedType) type).getActualTypeArguments().length == 2;
    values.forEach((name, value) ->
        map.put(typed ? bind(name, argument(type, 0)) : name, typed ? bind(value, argument(type, 1)) : value));
    return map;
  }

  @SuppressWarnings("unchecked")
  private static <T> T cast(Object value) {
    return (T) value;
  }

  private static Collection<?> collection(Object value, Type type, Class<?> raw) {
    if (!(value instanceof List)) throw mismatch(value, raw);
    Collection<Object> items;
    if (raw.isAssignableFrom(ArrayList.class)) items = new ArrayList<>();
    else if (raw.isAssignableFrom(LinkedHashSet.class) || raw == Set.class) items = new LinkedHashSet<>();
    else items = cast(create(raw));
    for (Object item : (List<?>) value) items.add(bind(item, argument(type, 0)));
    return items;
  }

  private static Object array(Object value, Type type, Class<?> raw) {
    if (!(value instanceof List)) throw mismatch(value, raw);
    Type item = type instanceof GenericArrayType
        ? ((GenericArrayType) type).getGenericComponentType() : raw.getComponentType();
    List<?> values = (List<?>) value;
    Object array = Array.newInstance(raw.getComponentType(), values.size());
    for (int i = 0; i < values.size(); i++) Array.set(array, i, bind(values.get(i), item));
    return array;
  }

  static Object create(Class<?> type) {
    try {
      Constructor<?> constructor = type.getDeclaredConstructor();
      constructor.setAccessible(true);
      return constructor.newInstance();
    } catch (InvocationTargetException error) {
      throw new IllegalArgumentException(String.valueOf(error.getCause()), error.getCause());
    } catch (ReflectiveOperationException | RuntimeException error) {
      throw new IllegalArgumentException("cannot make a " + type.getName() + ": it has no constructor without arguments");
    }
  }

  private static Object bean(Map<?, ?> values, Type type, Class<?> raw) {
    if (raw == String.class || raw.isPrimitive() || Number.class.isAssignableFrom(raw)) throw mismatch(values, raw);
    Map<String, Object> given = new HashMap<>();
    values.forEach((name, value) -> given.put(key(String.valueOf(name)), value));
    if (raw.isRecord()) return record(given, type, raw);
    Object bean = create(raw);
    for (Method method : raw.getMethods()) {
      String name = method.getName();
      if (!name.startsWith("set") || name.length() < 4 || method.getParameterCount() != 1) continue;
      String key = key(named(method, name.substring(3)));
      if (!given.containsKey(key)) continue;
      method.setAccessible(true);
      call(method, bean, bind(given.remove(key), resolve(method.getGenericParameterTypes()[0], type)));
    }
    for (Field field : fields(raw)) {
      String key = key(named(field, field.getName()));
      if (Modifier.isFinal(field.getModifiers()) || !given.containsKey(key)) continue;
      try {
        field.setAccessible(true);
        field.set(bean, bind(given.remove(key), resolve(field.getGenericType(), type)));
      } catch (IllegalAccessException error) {
        throw new IllegalArgumentException(error);
      }
    }
    return bean;
  }

  private static Object record(Map<String, Object> given, Type type, Class<?> raw) {
    RecordComponent[] components = raw.getRecordComponents();
    Class<?>[] types = new Class<?>[components.length];
    Object[] values = new Object[components.length];
    for (int i = 0; i < components.length; i++) {
      types[i] = components[i].getType();
      Object value = given.get(key(named(components[i], components[i].getName())));
      values[i] = bind(value, resolve(components[i].getGenericType(), type));
    }
    try {
      Constructor<?> constructor = raw.getDeclaredConstructor(types);
      constructor.setAccessible(true);
      return call(constructor, null, values);
    } catch (NoSuchMethodException error) {
      throw new IllegalArgumentException(error);
    }
  }

  /** T of class Box<T> in a Box<String>. */
  static Type resolve(Type type, Type owner) {
    if (!(type instanceof TypeVariable) || !(owner instanceof ParameterizedType)) return type;
    TypeVariable<?>[] variables = raw(owner).getTypeParameters();
    for (int i = 0; i < variables.length; i++) if (variables[i].equals(type)) return argument(owner, i);
    return type;
  }

  private static String key(String name) {
    return name.toLowerCase(Locale.ROOT);
  }

  private static List<Field> fields(Class<?> type) {
    List<Field> fields = new ArrayList<>();
    for (Class<?> at = type; at != null && at != Object.class; at = at.getSuperclass())
      for (Field field : at.getDeclaredFields()) {
        boolean shown = Modifier.isPublic(field.getModifiers()) || annotation(field) != null;
        if (shown && !Modifier.isStatic(field.getModifiers())) fields.add(field);
      }
    return fields;
  }

  private static String named(AnnotatedElement element, String otherwise) {
    String name = annotation(element);
    return name == null || name.isEmpty() ? otherwise : name;
  }

  private static String annotation(AnnotatedElement element) {
    for (Annotation annotation : element.getAnnotations()) {
      String type = annotation.annotationType().getSimpleName();
      if (!type.equals("JsonProperty") && !type.equals("SerializedName")) continue;
      try {
        return String.valueOf(annotation.annotationType().getMethod("value").invoke(annotation));
      } catch (ReflectiveOperationException error) {
        return null;
      }
    }
    return null;
  }

  /** What a bean or record says of itself, by name. */
  static Map<String, Object> read(Object bean) {
    Map<String, Object> values = new LinkedHashMap<>();
    Class<?> type = bean.getClass();
    if (type.isRecord()) {
      for (RecordComponent component : type.getRecordComponents()) {
        component.getAccessor().setAccessible(true);
        values.put(named(component, component.getName()), call(component.getAccessor(), bean));
      }
      return values;
    }
    if (type.getName().startsWith("java.")) throw new IllegalArgumentException(type.getName() + " is no JSON");
    for (Method method : type.getMethods()) {
      String name = property(method);
      if (name == null) continue;
      method.setAccessible(true);
      values.put(named(method, name), call(method, bean));
    }
    for (Field field : fields(type))
      try {
        field.setAccessible(true);
        values.putIfAbsent(named(field, field.getName()), field.get(bean));
      } catch (IllegalAccessException error) {
        throw new IllegalArgumentException(error);
      }
    if (values.isEmpty()) throw new IllegalArgumentException(type.getName() + " has no properties");
    return values;
  }

  private static String property(Method method) {
    if (method.getDeclaringClass() == Object.class || Modifier.isStatic(method.getModifiers())) return null;
    if (method.getParameterCount() != 0 || method.getReturnType() == void.class || method.isBridge()) return null;
    String name = method.getName();
    boolean is = name.startsWith("is") && method.getReturnType() == boolean.class;
    int prefix = name.startsWith("get") ? 3 : is ? 2 : 0;
    if (prefix == 0 || name.length() == prefix) return null;
    return Character.toLowerCase(name.charAt(prefix)) + name.substring(prefix + 1);
  }
}
